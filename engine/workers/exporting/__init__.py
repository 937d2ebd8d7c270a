"""What engine/workers/export.py is made of: a module for each kind of export, and the check."""
