#!/bin/sh
# kdump_post of /etc/kdump.conf: runs in the capture kernel right after the dump was written, before final_action.
# kbmatch itself does not run there (little memory, no Python): it diagnoses after the reboot that final_action brings.
# This notes beside the dump how it ended, so that nobody has to guess why a dump is short.
#
#   kdump_post /usr/local/sbin/kbmatch-kdump-post.sh
#   final_action reboot
#
# then: systemctl restart kdump      (rebuilds the initramfs; kdump.conf(5) of kexec-tools)
# $1 is the exit status of the dump process. Where the target is mounted differs between releases.
status=${1:-unknown}
for root in /kdumproot /sysroot ""; do
    # the newest folder is the dump that was just written
    folder=$(ls -1dt "$root"/var/crash/*/ 2>/dev/null | head -n 1)
    [ -n "$folder" ] || continue
    printf 'dump process ended with status %s\n' "$status" >"${folder}kbmatch-report.kdump-status"
    break
done
sync
exit 0
