"""Foreign bytes to pixels, in processes of their own. Import the module you need: the processes load this package too."""
