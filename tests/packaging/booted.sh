# Boots a real systemd as PID 1 of namespaces of its own, on an overlay of this machine: nothing outside changes.
# usage: booted.sh SCRATCH REPOSITORY PYTHON     (root; run under unshare -m -p -f -C -u -i)
set -e
scratch=$1 repository=$2 python=$3
mount --make-rprivate /
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
root=$scratch/root
for folder in $(findmnt -rno TARGET -t ext4,xfs,btrfs,overlay | grep -v "^/$" | grep -v "^$scratch"); do
    mount --bind "$folder" "$root$folder" || true
done
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
if [ -d /sys/fs/cgroup/unified ]; then
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
else
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
units=$root/etc/systemd/system
for unit in systemd-timesyncd systemd-udevd systemd-udev-trigger systemd-tmpfiles-setup systemd-tmpfiles-setup-dev \
    systemd-sysctl systemd-modules-load systemd-binfmt systemd-random-seed systemd-resolved systemd-networkd \
    systemd-logind systemd-update-utmp systemd-remount-fs systemd-firstboot systemd-sysusers getty@tty1 \
    console-getty systemd-machine-id-commit systemd-hwdb-update apt-daily; do
    ln -sf /dev/null "$units/$unit.service"
done
cp "$repository"/packaging/systemd/* "$units/"
# Here the interpreter may lie below /root, which the units hide.
for unit in watch crash; do
    mkdir -p "$units/kbmatch-$unit.service.d"
    printf '[Service]\nProtectHome=read-only\n' >"$units/kbmatch-$unit.service.d/interpreter.conf"
done
rm -rf "$root/var/lib/kbmatch" "$root/var/crash"
mkdir -p "$root/var/crash" "$root/var/lib/systemd/pstore"
printf '#!/bin/sh\nexec %s -m kbmatch.cli "$@"\n' "$python" >"$root/usr/bin/kbmatch"
chmod 755 "$root/usr/bin/kbmatch"
cat >"$units/kbmatch-test.target" <<'UNIT'
[Unit]
Description=What the test needs
Requires=basic.target systemd-journald.service
Wants=kbmatch-crash.path
After=basic.target
AllowIsolate=yes
UNIT
mkdir "$root/oldroot"
cd "$root"
pivot_root . oldroot
umount -l /oldroot
exec env -i container=kbmatch-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=kbmatch-test.target --log-target=console --show-status=no </dev/null
