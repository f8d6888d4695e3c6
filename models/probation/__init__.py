"""A promoted version beside the one before it, on labels that come later: is it worse, and surely so?"""
