"""The pure core: decisions and formats, with no clock, no chance and no input or output."""
