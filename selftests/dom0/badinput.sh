#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# /dev/xen/pcidev against callers that are wrong, or have no right. Would catch:
# a kernel that reads or writes where it must not, overwrites what the caller said,
# writes after it refused, takes flags it does not know (they could never get a
# meaning), or trusts the owner of an open file instead of the caller.

. "${0%/*}/ktap.sh"

as_nobody() {
	[ "$(stat -c %a:%u:%g /dev/xen/pcidev)" = 600:0:0 ] || die "its mode is $(stat -c %a:%u:%g /dev/xen/pcidev)"
	setpriv --reuid 65534 --regid 65534 --clear-groups badinput denied | grep -qx 'open: EACCES'
}

without_capability() {
	setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin badinput denied
}

# Root of a user namespace has all capabilities, in there.
in_user_namespace() {
	unshare --user --map-root-user badinput denied
}

plan 10
check "a structure that is too small is refused, one that is larger is not" badinput sizes
check "a structure can be used again, also after ENOSPC" badinput again
check "flags without a meaning are refused" badinput flags
check "bad pointers are EFAULT" badinput pointers
check "unknown calls are ENOTTY" badinput numbers
check "addresses at the limits are ENODEV" badinput addresses
check "it cannot be read, written or mapped" badinput calls
check "nobody but root can open it" as_nobody
check "root without CAP_SYS_ADMIN is refused" without_capability
if unshare --user --map-root-user true 2>/dev/null; then
	check "root of a user namespace is refused" in_user_namespace
else
	skip "root of a user namespace is refused" "no user namespaces here"
fi
finish
