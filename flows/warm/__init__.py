"""A process that has the flows imported and forks itself for each flow run; what runs is in `flows.loop`.

A flow run started by itself imports for five seconds before it begins. Here the worker keeps one process that
has done so (`keeping`, `server`). What Prefect starts for a flow run (`client`) hands its environment, folder
and output over and stands for the process that is forked: it passes signals on, and ends as that ends. Where
there is no such process, or what it has imported is not what lies on disk now, the flow run starts by itself.
"""
