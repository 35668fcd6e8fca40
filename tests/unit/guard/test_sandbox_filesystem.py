"""Which mounts the agent's private root may touch."""

from cadre_guard.sandbox.filesystem import mounts_on

_MOUNTINFO = """\
22 27 0:21 / /proc rw - proc proc rw
27 1 254:0 / / rw - ext4 /dev/vda rw
40 27 0:40 / /tmp rw - tmpfs tmpfs rw
41 40 0:41 / /tmp/.mount_Editor rw - fuse editor rw
52 51 254:0 /usr/lib /tmp/usr/lib ro - ext4 /dev/vda rw
50 40 0:50 / /tmp rw - tmpfs tmpfs rw
51 50 254:0 /usr /tmp/usr ro - ext4 /dev/vda rw
53 50 254:0 /etc/ssl /tmp/etc\\040ssl ro - ext4 /dev/vda rw
"""


def test_what_the_private_root_covers_is_left_alone() -> None:
    """Programs mount below /tmp (an AppImage, a container engine); an agent starts all the same."""
    points = list(mounts_on("50", _MOUNTINFO))
    assert points == ["/tmp/usr", "/tmp/usr/lib", "/tmp/etc ssl"]
