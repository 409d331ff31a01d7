"""Messages of HL7 v2 taken apart by hand, where a test asks for one field."""


def fields_of(line: str) -> list[str]:
    """The fields of a segment by their number; its name is number 0."""
    return line.removesuffix("\r").split("|")


def segments_of(message: bytes) -> list[tuple[str, list[str]]]:
    """Names and fields of all segments; a field that is left out at the end is empty."""
    lines = message.decode().split("\r")[:-1]
    cells = [[*fields_of(line), *[""] * 30] for line in lines]
    return [(each[0], each) for each in cells]
