"""A dataset card as Croissant 1.1, MLCommons' JSON-LD for datasets.

Source: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

import mimetypes
from typing import Any

from gbench.bibtex import bibtex, year_of
from gbench.cards import DatasetCard, Source, Target
from gbench.content import content

Json = dict[str, Any]
CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "annotation": "cr:annotation",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
STRUCTURE = (
    ("numbers", "sc:Integer", "Atomic number of each atom."),
    ("positions", "sc:Float", "Cartesian coordinates in Å: x, y, z of each atom in turn."),
    ("cell", "sc:Float", "Lattice vectors in Å: nine entries of a matrix, vectors as rows; 0 along axes that are not "
     "periodic."),
    ("pbc", "sc:Boolean", "Whether the crystal is periodic along each of the three vectors."),
)  # fmt: skip
PAIRS = (
    ("pairs", "sc:Integer", "Atoms i and j of each labelled pair in turn, counted from 0."),
    ("pair_image", "sc:Integer", "Lattice translation of atom j of each pair: three whole numbers in turn."),
)
LICENCES = ("MIT", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "BSD-3-Clause", "Apache-2.0", "GPL-3.0")
"""Licences whose text has an address of its own at SPDX."""


def croissant(card: DatasetCard) -> Json:
    """The card as JSON-LD: files with their hashes, and a record set with one field per target and its unit."""
    year = year_of(card.citation)
    made: Json = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": card.name,
        "alternateName": card.title,
        "description": " ".join([card.description, *(_errata(card))]).strip(),
        "version": card.version,
        "license": f"https://spdx.org/licenses/{card.licence}.html" if card.licence in LICENCES else card.licence,
        "citeAs": bibtex(card),
        "url": f"https://doi.org/{card.citation.doi}" if card.citation.doi else None,
        "datePublished": f"{year}-01-01" if year else None,
        "distribution": [part for source in card.sources for part in _distribution(source)],
        "recordSet": _record_sets(card),
    }
    return {key: value for key, value in made.items() if value is not None}


def _errata(card: DatasetCard) -> list[str]:
    return [f"Errata: {erratum.count} rows {erratum.action}: {erratum.why}" for erratum in card.errata if erratum.count]


def _distribution(source: Source) -> list[Json]:
    file: Json = {
        "@type": "cr:FileObject",
        "@id": _id(source),
        "name": source.file,
        "contentUrl": _address(source),
        "encodingFormat": _format(source.file),
        "sha256": source.identity,
    }
    if source.size is not None:
        file["contentSize"] = f"{source.size} B"
    if source.urls[1:]:
        file["sameAs"] = list(source.urls[1:])
    if source.github:
        file["description"] = (
            "GitHub packs a tree anew for each download. The hash is taken over its members: the sha256 of the lines "
            "'sha256  path', sorted by path."
        )
    if not source.members:
        return [file]
    root = f"{source.root}/" if source.root else ""
    patterns = [f"{root}{member}" for member in source.members]
    members = {
        "@type": "cr:FileSet",
        "@id": f"{_id(source)}/members",
        "name": f"members of {source.file}",
        "containedIn": {"@id": _id(source)},
        "encodingFormat": _format(source.members[0]),
        "includes": patterns[0] if len(patterns) == 1 else patterns,
    }
    return [file, members]


def _id(source: Source) -> str:
    # ids are resolved as relative addresses, which do not begin with ..
    return source.file.removeprefix("../")


def _address(source: Source) -> str:
    if source.urls:
        return source.urls[0]
    if source.github:
        return source.github.url
    if source.pypi:
        name, _, version = source.pypi.partition("==")
        return f"pkg:pypi/{name}@{version}"
    return source.file


def _format(file: str) -> str:
    known = {".parquet": "application/x-parquet", ".cif": "chemical/x-cif", ".whl": "application/zip"}
    for suffix, kind in known.items():
        if file.endswith(suffix):
            return kind
    guess, packed = mimetypes.guess_type(file)
    return {"gzip": "application/gzip", "xz": "application/x-xz"}.get(packed or "", guess or "application/octet-stream")


def _record_sets(card: DatasetCard) -> list[Json]:
    """The targets, as a table of its own, and the crystals where the file has a column for each field."""
    sets = [_targets(card)]
    file = card.sources[0].file
    # other files than our own Parquet are read by the dataset's load.py, for which Croissant has no words
    if file.endswith(".parquet") and not (content("datasets") / card.name / "load.py").is_file():
        sets.append(_crystals(card, file))
    return sets


def _targets(card: DatasetCard) -> Json:
    kinds = {"target": "Name of the label.", "level": "graph, node or edge: what one value belongs to."}
    kinds |= {"unit": "Unit of the values; 1 for a pure number.", "task": "regression or classification."}
    kinds |= {"description": "What the label is.", "method": "How it was computed."}
    return {
        "@type": "cr:RecordSet",
        "@id": "targets",
        "name": "targets",
        "description": f"The labels of the dataset. In Python: gbench.load({card.name!r}).labels(target)",
        "key": {"@id": "targets/target"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"targets/{name}",
                "name": name,
                "description": text,
                "dataType": "sc:Text",
            }
            for name, text in kinds.items()
        ],
        "data": [
            {
                "targets/target": name,
                "targets/level": target.level,
                "targets/unit": target.unit,
                "targets/task": target.task,
                "targets/description": target.description.strip(),
                "targets/method": _method(target),
            }
            for name, target in card.targets.items()
        ],
    }


def _method(target: Target) -> str:
    return "; ".join(f"{key}: {value}" for key, value in target.method.items())


def _crystals(card: DatasetCard, file: str) -> Json:
    return {
        "@type": "cr:RecordSet",
        "@id": "crystals",
        "name": "crystals",
        "key": {"@id": "crystals/id"},
        "description": f"{card.crystals:,} records, one per crystal.",
        "field": [
            _field("id", "Id of the crystal.", "sc:Text", file, "id"),
            *(
                _array(_field(name, text, kind, file, name))
                for name, kind, text in STRUCTURE
                + (PAIRS if any(t.level == "edge" for t in card.targets.values()) else ())
            ),
            *(_target(name, target, file) for name, target in card.targets.items()),
        ],
    }


def _target(name: str, target: Target, file: str) -> Json:
    per = {"graph": "crystal", "node": "atom", "edge": "pair of atoms"}[target.level]
    text = f"{target.description.strip()} One value per {per}, unit {target.unit}. {_method(target)}"
    field = _field(name, text, "sc:Float", file, f"{target.level}:{name}")
    if target.level != "graph":
        field = _array(field)
    said = {"unit": target.unit, "level": target.level, "task": target.task}
    field["annotation"] = [
        {"@type": "cr:Field", "@id": f"{field['@id']}/{key}", "name": key, "dataType": "sc:Text", "value": value}
        for key, value in said.items()
    ]
    return field


def _array(field: Json) -> Json:
    return {**field, "isArray": True, "arrayShape": "-1"}


def _field(name: str, description: str, kind: str, file: str, column: str) -> Json:
    return {
        "@type": "cr:Field",
        "@id": f"crystals/{name}",
        "name": name,
        "description": description,
        "dataType": kind,
        "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
    }
