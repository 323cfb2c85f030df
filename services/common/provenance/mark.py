"""The mark of generated files: IPTC's DigitalSourceType, written as XMP.

The terms are those of http://cv.iptc.org/newscodes/digitalsourcetype/, the property is that of the IPTC Photo Metadata
Standard. XMP is ISO 16684-1. The packet is plain ASCII, so that every format can hold it as it is.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

TERMS: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_DIGEST: Final = re.compile(rb"sha256:([0-9a-f]{64})[<\"'\s]")
# With the mark of XML behind it: in Ogg and FLAC the next byte is a number, which may look like a letter.
_TERM: Final = re.compile(rb"://cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{1,64})[<\"'\s]")
_PACKET: Final = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>
</rdf:Description>{origin}
</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
_ORIGIN: Final = """
<rdf:Description rdf:about="" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
 xmlns:stRef="http://ns.adobe.com/xap/1.0/sType/ResourceRef#">
<xmpMM:DerivedFrom rdf:parseType="Resource"><stRef:documentID>{origin}</stRef:documentID></xmpMM:DerivedFrom>
</rdf:Description>"""


class SourceType(StrEnum):
    """A term of IPTC for the files of a model: the ones that an adapter may name."""

    TRAINED = "trainedAlgorithmicMedia"  # made by a model that learned from samples
    COMPOSITE = "compositeWithTrainedAlgorithmicMedia"  # a picture or recording of reality, with such parts added
    ALGORITHMIC = "algorithmicMedia"  # made by a formula, without samples


@dataclass(frozen=True)
class Mark:
    """`source_type` is a term of IPTC's list, `derived_from` the SHA-256 of the stored file that this was made from."""

    source_type: str
    derived_from: str | None = None

    @property
    def uri(self) -> str:
        """The term as the URI that is written."""
        return f"{TERMS}{self.source_type}"

    @property
    def origin(self) -> str:
        """The document id of the stored file, "" where there is none."""
        return f"sha256:{self.derived_from}" if self.derived_from else ""

    def xmp(self) -> bytes:
        """Return the XMP packet."""
        origin = _ORIGIN.format(origin=self.origin) if self.origin else ""
        return _PACKET.format(source=self.uri, origin=origin).encode("ascii")

    @classmethod
    def found_in(cls, text: bytes) -> Self | None:
        """Return the first mark in this part of a file, by any program; None without one.

        No XML is parsed: a stranger may have made the file.
        """
        term, digest = _TERM.search(text), _DIGEST.search(text)
        if term is None:
            return None
        return cls(term[1].decode("ascii"), digest[1].decode("ascii") if digest else None)
