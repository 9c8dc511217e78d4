"""Decompress a file and verify the checksums of its format."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.input_files import PACKED, suffix_of

PARQUET_MAGIC = b"PAR1"
_MAGIC = {
    b"\x1f\x8b\x08": ".gz",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"\xfd7zXZ\x00": ".xz",
    b"PK\x03\x04": ".zip",
    b"PK\x05\x06": ".zip",
    **{b"BZh%d1AY&SY" % level: ".bz2" for level in range(1, 10)},
    **{b"BZh%d\x17\x72\x45\x38\x50\x90" % level: ".bz2" for level in range(1, 10)},  # an empty stream
}
_LONGEST = max(map(len, _MAGIC))
_XZ_MEMORY_BYTES = 2**29
"""Memory limit, eight times the need of `xz -9`. A damaged or hostile header may demand 4 GiB."""


def packing_of(file: Path) -> str:
    """The compression of a file by its first bytes: ".gz", …; "" without compression.

    Raises DataRejectedError if its name implies compression but its bytes are neither compressed nor parquet.
    """
    with file.open("rb") as stream:
        head = stream.read(_LONGEST)
    found = next((packing for magic, packing in _MAGIC.items() if head.startswith(magic)), "")
    named = next((packing for packing in PACKED if suffix_of(file.name).lower().endswith(packing)), "")
    if named and not found and head and not head.startswith(PARQUET_MAGIC):
        raise DataRejectedError(
            f"{file} is named {named}, but its first bytes are those of no packed file. It may be damaged: write or "
            "download it again, or rename it if it is plain text."
        )
    return found


def unpacked(file: Path, packing: str) -> bytes:
    """The decompressed content of a file. packing: from `packing_of`.

    Raises DataRejectedError for an archive of several files, and the library's errors for a damaged one.
    """
    if packing == ".zip":
        return _from_zip(file)
    data = file.read_bytes()
    if packing == ".gz":
        return gzip.decompress(data)
    if packing == ".zst":
        import pyarrow as pa  # noqa: PLC0415 - for this packing alone

        content: bytes = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
        return content
    return _streams(data, packing)


def _streams(data: bytes, packing: str) -> bytes:
    """All streams of a bz2 or xz file. The libraries' one-shot functions stop silently at a damaged second stream."""
    parts = []
    while data:
        stream = bz2.BZ2Decompressor() if packing == ".bz2" else lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_BYTES)
        parts.append(stream.decompress(data))
        if not stream.eof:
            raise EOFError("it ends before its last stream does")
        data = stream.unused_data.lstrip(b"\0")
    return b"".join(parts)


def _from_zip(file: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
        members = [item for item in archive.infolist() if not (item.is_dir() or _is_hidden(item.filename))]
        if len(members) != 1:
            names = ", ".join(item.filename[:40] for item in members[:3]) or "none"
            raise DataRejectedError(
                f"{file} holds {len(members)} files ({names}{', …' if len(members) > 3 else ''}). Give a zip of one file, "
                "or unpack it and give the folder."
            )
        return archive.read(members[0])


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
