#!/bin/sh
# The first process of the virtual machine: it makes the files of the real one
# its own and becomes the command that runs the tests. A chroot would not do:
# the root of all processes would be one that hides what else is mounted.
PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do
	insmod "$module" || echo "insmod $module: failed"
done
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose machine /machine
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose zfs /zfs
mount -t overlay -o ro,lowerdir=/machine/usr:/zfs overlay /machine/usr
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose tests /tests
mount -t ext4 /dev/vda /machine/var/tmp
mkdir /machine/var/tmp/tests
mount --bind /tests /machine/var/tmp/tests
for dir in /run /tmp /root /mnt; do
	mount -t tmpfs tmpfs "/machine$dir"
done
mkdir /machine/run/shm /machine/run/etc /machine/run/work
# dockerd writes a key to /etc/docker, unless the real one's has one.
mount -t overlay -o lowerdir=/machine/etc,upperdir=/machine/run/etc,workdir=/machine/run/work overlay /machine/etc
for dir in /proc /sys /dev; do
	mount --move "$dir" "/machine$dir"
done
mkdir -p /machine/dev/shm /machine/dev/pts
mount -t tmpfs tmpfs /machine/dev/shm
mount -t devpts devpts /machine/dev/pts
mount -t cgroup2 cgroup /machine/sys/fs/cgroup
ifconfig lo up
exec switch_root /machine /bin/sh /var/tmp/tests/command
