"""Mail, as a file of its own (EML) or of Outlook (MSG): headers, body, and the text of attachments."""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from email import policy
from email.header import decode_header, make_header
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from pathlib import PurePath
from typing import Any

from howdah.retrieval.errors import LoadError, PackageMissing
from howdah.retrieval.loaders.archive import unpacked
from howdah.retrieval.loaders.blocks import Assembly, Block
from howdah.retrieval.loaders.containers import is_archive
from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.markup import blocks_of
from howdah.retrieval.loaders.package import parsing
from howdah.retrieval.loaders.text import INSTALL, decode, storable
from howdah.retrieval.types import Extract, Metadata

DEPTH = 3  # of mails and other files in one another
_PEOPLE = ("From", "To", "Cc")
_ENCRYPTED = {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}
_SIGNATURES = {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
_MALFORMED = (AttributeError, LookupError, TypeError, ValueError)  # what a header or charset out of order leads to

Read = Callable[[RawFile], Extract]


@dataclass(kw_only=True)
class _Mail:
    subject: str
    people: dict[str, str]
    date: str | None
    body: list[Block] = field(default_factory=list)
    attached: list[RawFile] = field(default_factory=list)


def read_eml(file: RawFile, read: Read) -> Extract:
    """The subject as heading, sender, recipients and date, the body, and what `read` makes of each attachment.

    Attachments without text are named in the metadata. Raises LoadError if the mail is encrypted or has no text.
    """
    with parsing(file, "mail"):
        message = BytesParser(policy=policy.default).parsebytes(file.data)
        found = _Mail(
            subject=_header(message, "Subject"),
            people={name: value for name in _PEOPLE if (value := _header(message, name))},
            date=_date(message),
        )
        _collect(file, message, found)
    return _extract(file, found, read, Kind.EML)


def read_msg(file: RawFile, read: Read) -> Extract:
    """As `read_eml`, of a message that Outlook saved."""
    try:
        from oxmsg import Message
    except ImportError as exc:
        raise PackageMissing("python-oxmsg", needed_for=f"{file.source}: MSG", install=INSTALL) from exc
    with parsing(file, "Outlook message (MSG)"):
        message = Message.load(io.BytesIO(file.data))
        to = ", ".join(filter(None, (_person(who.name, who.email_address) for who in message.recipients)))
        people = {"From": _decoded(message.sender or ""), "To": to}
        found = _Mail(
            subject=_decoded(message.subject or ""),
            people={name: value for name, value in people.items() if value},
            date=message.sent_date.isoformat() if message.sent_date else None,
            body=_chosen(_plain(message.body or ""), blocks_of(file, message.html_body or "")),
            attached=[
                _attachment(file, attachment.file_name, attachment.file_bytes)
                for attachment in message.attachments
                if attachment.file_bytes
            ],
        )
    return _extract(file, found, read, Kind.MSG)


def _extract(file: RawFile, mail: _Mail, read: Read, kind: Kind) -> Extract:
    assembly = Assembly()
    if mail.subject:
        assembly.add(Block(mail.subject, 1))
    metadata: Metadata = {name.lower(): value for name, value in mail.people.items()}
    if mail.date:
        metadata["date"] = mail.date
    if mail.subject or mail.body:
        lines = [*mail.people.items(), *([("Date", mail.date)] if mail.date else [])]
        if lines:
            assembly.add(Block("\n".join(f"{name}: {value}" for name, value in lines)))
    for block in mail.body:
        assembly.add(block)
    metadata |= _attach(assembly, file, mail.attached, read)
    found = assembly.joined()
    if not found.text:
        raise file.error("has neither a subject nor a body with text")
    return Extract(
        text=found.text,
        media_type=kind.value,
        title=storable(mail.subject) or None,
        headings=found.headings,
        metadata=metadata,
    )


def _attach(assembly: Assembly, file: RawFile, attached: Sequence[RawFile], read: Read) -> Metadata:
    """Each attachment under its name as a heading. Returns the names, and why those without text have none."""
    unread: dict[str, str] = {}
    for item in _files(attached):
        try:
            if isinstance(item, LoadError):
                raise item
            if item.depth > DEPTH:
                raise item.error(f"lies more than {DEPTH} files deep")
            extract = read(item)
        except LoadError as error:
            unread[error.source.removeprefix(f"{file.source}/")] = error.reason
        else:
            assembly.add(Block(item.source.removeprefix(f"{file.source}/"), 2))
            assembly.include(extract, deeper=2)
    names = [attachment.name.name for attachment in attached]
    return {**({"attachments": names} if names else {}), **({"unread_attachments": unread} if unread else {})}


def _files(attached: Sequence[RawFile]) -> Iterator[RawFile | LoadError]:
    """The attachments, and in place of an archive what is in it."""
    for attachment in attached:
        if is_archive(io.BytesIO(attachment.data)):
            yield from unpacked(attachment)
        elif attachment.data:
            yield attachment
        else:
            yield attachment.error("is empty (0 bytes)")


def _collect(file: RawFile, part: Any, mail: _Mail) -> None:
    """Put the part's text into the mail's body and its files among the attachments, in their order."""
    kind = part.get_content_type()
    if kind in _ENCRYPTED and part.get_param("smime-type") != "signed-data":
        raise file.error("is an encrypted mail", hint="save it decrypted from your mail program")
    if kind in _SIGNATURES:
        return
    name = _file_name(part)
    if kind == "message/rfc822" and part.is_multipart():
        inner = part.get_payload(0)
        mail.attached.append(_attachment(file, name or _header(inner, "Subject") or "mail.eml", inner.as_bytes()))
    elif kind == "multipart/alternative":
        mail.body += _alternative(file, part, mail)
    elif part.is_multipart():
        for inner in part.iter_parts():
            _collect(file, inner, mail)
    elif kind in {"text/plain", "text/html"} and not name and part.get_content_disposition() != "attachment":
        mail.body += _text(file, part)
    elif data := part.get_payload(decode=True):
        mail.attached.append(_attachment(file, name or f"attachment.{part.get_content_subtype()}", data))


def _alternative(file: RawFile, part: Any, mail: _Mail) -> list[Block]:
    """One of several forms of the same text; files beside the HTML form are kept."""
    forms: dict[str, list[Block]] = {}
    for inner in part.iter_parts():
        form = replace(mail, body=[])
        _collect(file, inner, form)
        forms.setdefault("plain" if inner.get_content_type() == "text/plain" else "other", form.body)
    return _chosen(forms.get("plain", []), forms.get("other", []))


def _chosen(plain: list[Block], marked_up: list[Block]) -> list[Block]:
    """Plain text as it was written, unless it only says that there is another form."""
    length = [sum(len(block.text) for block in blocks) for blocks in (plain, marked_up)]
    return plain if length[0] * 2 >= length[1] else marked_up


def _text(file: RawFile, part: Any) -> list[Block]:
    data = part.get_payload(decode=True) or b""
    charset = part.get_content_charset() or "utf-8"
    try:
        text = data.decode("cp1252" if charset in {"iso-8859-1", "us-ascii"} and not data.isascii() else charset)
    except (LookupError, UnicodeDecodeError):
        text = decode(replace(file, data=data))  # a charset that is wrong, or none: guessed
    return blocks_of(file, text) if part.get_content_type() == "text/html" else _plain(text)


def _plain(text: str) -> list[Block]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    return [Block(text)] if text.strip() else []


def _header(message: Any, name: str) -> str:
    try:
        return storable(" ".join(str(message.get(name) or "").split()))
    except _MALFORMED:
        return ""


def _date(message: Any) -> str | None:
    """In ISO 8601, which sorts; as it was written where it is no date."""
    written = _header(message, "Date")
    try:
        return parsedate_to_datetime(written).isoformat() if written else None
    except _MALFORMED:
        return written


def _file_name(part: Any) -> str:
    try:
        return part.get_filename() or ""
    except _MALFORMED:
        return "attachment"


def _attachment(file: RawFile, name: str | None, data: bytes) -> RawFile:
    name = storable(" ".join((name or "attachment").replace("\\", "/").rpartition("/")[2].split()))
    return replace(
        file, source=f"{file.source}/{name}", name=PurePath(name or "attachment"), data=data, depth=file.depth + 1
    )


def _person(name: str | None, address: str | None) -> str:
    name, address = _decoded(name or ""), address or ""
    return f"{name} <{address}>" if name and address and address not in name else name or address


def _decoded(value: str) -> str:
    """A header as Outlook keeps it, which may be in the mail's own encoding still."""
    try:
        return storable(" ".join(str(make_header(decode_header(value))).split()))
    except _MALFORMED:
        return storable(value)
