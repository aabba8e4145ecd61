"""Media: files that people upload and fetch, by mxc URIs of this server.

Owns the media folder and the tables `media`, `media_usage` and `media_announced`, which are global.

(1) A row is committed after its file is durable, and an upload is answered after its row is. A
    crash between the two leaves a file without a row, which `sweep` removes; never a row without
    a file.
(2) A file is removed only while no row needs it, no upload in this process is about to give it
    one, and it is older than an upload's last step takes.
(3) A person's allowance is taken in the transaction that adds the row: uploads that race can't
    exceed it together. Each upload is charged in full, also where its content was there already,
    so that nobody learns from their allowance what others have uploaded.
(4) A media id is random (192 bits) and never given twice. Knowing it and being signed in is what
    reading takes, as the specification has it; pictures in encrypted rooms are sealed before they
    come here.
(5) An id that was announced before its content gets it once: the end of the announcement's row
    decides, in the transaction that adds the upload.
(6) A picture is decoded in a process of its own, with the kernel's bounds on time and memory, and
    never larger than `pixels_max`.
(7) Another server's media is not here and is not asked for.
"""

from posthouse.media.errors import (
    AllowanceUsedUp,
    AlreadyUploaded,
    AnnouncedByAnother,
    NoSuchMedia,
    NoThumbnail,
    NotYetUploaded,
    PictureTooLarge,
    TooManyAnnounced,
    UploadTooLarge,
)
from posthouse.media.model import Content, MediaId, StoredMedia
from posthouse.media.service import Media, OpenMedia
from posthouse.media.settings import MediaSettings, ThumbnailSettings

__all__ = [
    "AllowanceUsedUp",
    "AlreadyUploaded",
    "AnnouncedByAnother",
    "Content",
    "Media",
    "MediaId",
    "MediaSettings",
    "NoSuchMedia",
    "NoThumbnail",
    "NotYetUploaded",
    "OpenMedia",
    "PictureTooLarge",
    "StoredMedia",
    "ThumbnailSettings",
    "TooManyAnnounced",
    "UploadTooLarge",
]
