"""What is decided without pixels: which part of a render becomes which picture, and how it is encoded."""
