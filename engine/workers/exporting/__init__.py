"""What engine/workers/export.py is made of: one module for each kind of export, and the check of its answers."""
