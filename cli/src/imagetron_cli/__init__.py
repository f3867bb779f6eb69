"""The imagetron command line: run the stack on one machine, generate pictures, find out what is wrong."""
