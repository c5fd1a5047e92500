"""The one exception of this package: something in a traffic, key or text file that can not be used."""


class TrafficError(Exception):
    """The message names the file, the line or field, what is wrong with it and how to put it right."""
