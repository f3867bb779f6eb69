"""What every file says of its making, and whether it does. Import the module you need: processes that decode load one."""
