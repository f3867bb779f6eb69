"""The outside of the deriver: Pillow in processes of its own, and the twin that needs neither."""
