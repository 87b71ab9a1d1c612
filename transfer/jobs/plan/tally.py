"""Takes the entries of a source one by one, in order: counts them, fits them on devices, looks at names."""

from __future__ import annotations

from transfer.core.object_keys import LINK_SUFFIX, object_key
from transfer.device.path_table import PathTable
from transfer.jobs.import_.options import Symlinks
from transfer.jobs.plan.histogram import Histogram
from transfer.jobs.plan.options import PlanOptions
from transfer.jobs.plan.outcome import Counts
from transfer.jobs.plan.refusals import By, Refusals
from transfer.jobs.plan.renames import Renames
from transfer.jobs.plan.sample import SamplePoints
from transfer.jobs.plan.schedule import FillTime
from transfer.jobs.plan.spans import Spans

_LINK_PROBLEM = "a bucket has no symbolic links (see --symlinks)"


class Tally:
    """One pass over a source.

    Args:
        options: of the plan.
        refusals: told what would not arrive.
        spans: the devices.
        fill: the time.
        inodes: which device has the content of an inode with several names.
        of_bucket: paths are keys.

    Attributes:
        points: where a sample of the content is to be taken; None: nowhere.
    """

    def __init__(
        self,
        options: PlanOptions,
        refusals: Refusals,
        spans: Spans,
        fill: FillTime,
        inodes: PathTable,
        *,
        of_bucket: bool,
    ) -> None:
        self.counts = Counts()
        self.sizes = Histogram()
        self.points = SamplePoints() if options.samples else None
        self._options = options
        self._refusals = refusals
        self._spans = spans
        self._fill = fill
        self._inodes = inodes
        self._renames = Renames(refusals)
        self._of_bucket = of_bucket
        self._empty_folder = b""

    def file(self, path: bytes, size_bytes: int, inode: tuple[int, int] | None = None) -> None:
        """A file or an object.

        Args:
            path: of the entry, or key of the object.
            size_bytes: of its content.
            inode: volume and inode, of a file that has several names.
        """
        self._come_to(path)
        counts = self.counts
        if not self._spans.fits_a_device(size_bytes):
            self._refusals.add("device", path, f"{size_bytes:,} bytes; no device has room for it", size_bytes)
            return
        counts.entries += 1
        counts.restored_bytes += size_bytes
        self._look_at_key(path, size_bytes)
        if self._of_bucket:
            self._renames.look_at_key(path, is_folder=not size_bytes and path.endswith(b"/"))
        else:
            self._renames.look_at_name(path)
        if inode is not None and self._is_on_device(inode):
            counts.hardlinks += 1
            self._spans.add(path, 0)
            return
        known = inode is not None and self._inodes.get(_row(inode)) is not None
        self._spans.add(path, size_bytes)
        self._fill.add(size_bytes)
        if inode is not None:
            self._inodes.put(_row(inode), str(self._spans.devices))
        if known:  # its content goes to one more device
            counts.hardlinks += 1
            return
        counts.files += 1
        counts.bytes += size_bytes
        counts.largest_bytes = max(counts.largest_bytes, size_bytes)
        self.sizes.add(size_bytes)
        if self.points is not None:
            self.points.add(path, size_bytes)

    def folder(self, path: bytes) -> None:
        """A folder."""
        self._come_to(path)
        self._empty_folder = path
        self._small_entry(path)
        self.counts.folders += 1
        self._renames.look_at_name(path)

    def symlink(self, path: bytes) -> None:
        """A symbolic link."""
        self._come_to(path)
        self._small_entry(path)
        self.counts.symlinks += 1
        match self._options.symlinks:
            case Symlinks.REPORT:
                self._refusals.add("symlink", path, _LINK_PROBLEM)
            case Symlinks.RCLONE:
                self._look_at_key(path, suffix=LINK_SUFFIX.encode())
            case Symlinks.SKIP:
                pass
        self._renames.look_at_name(path)

    def marker(self, path: bytes) -> None:
        """A version that says: deleted."""
        self._small_entry(path)
        self.counts.delete_markers += 1

    def problem(self, by: By, path: bytes, reason: str, size_bytes: int = 0) -> None:
        """What the copy would not bring."""
        self._come_to(path)
        self._refusals.add(by, path, reason, size_bytes)

    def finish(self) -> None:
        """Nothing comes any more."""
        self._come_to(b"")
        self._spans.finish()

    def _small_entry(self, path: bytes) -> None:
        self.counts.entries += 1
        self._spans.add(path, 0)
        self._fill.add(0)

    def _come_to(self, path: bytes) -> None:
        """A folder that nothing was found in becomes an object of its own."""
        folder, self._empty_folder = self._empty_folder, b""
        if folder and not path.startswith(folder):
            self._look_at_key(folder)

    def _look_at_key(self, path: bytes, size_bytes: int = 0, suffix: bytes = b"") -> None:
        """Whether the destination takes the object of an entry."""
        most = self._options.limits.object_max_bytes
        if size_bytes > most:
            problem = f"{size_bytes:,} bytes; the store takes objects of {most:,}"
        else:
            problem = object_key(self._options.prefix, path + suffix, self._options.limits)[1]
        if problem:
            self._refusals.add("bucket", path, problem, size_bytes)

    def _is_on_device(self, inode: tuple[int, int]) -> bool:
        """Whether the device at hand has the content already, and room for one more name of it."""
        return self._inodes.get(_row(inode)) == str(self._spans.devices) and self._spans.has_room(0)


def _row(inode: tuple[int, int]) -> bytes:
    return b"%d:%d" % inode
