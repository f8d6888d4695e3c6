"""Any classifier with scikit-learn's interface, named by its import path: found, checked, fitted and kept."""
