#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What the kernel's slab allocator has given out and not got back, for each function
# that is bound, from before the modules are loaded. xen-pcidev keeps a record of
# each function there is: of those that are not bound, too. What the kernel caches
# of files that were looked at is left out.

. "${0%/*}/swap.sh"

tracing=/sys/kernel/tracing
events="kmalloc kmem_cache_alloc kfree kmem_cache_free"

watch() { # 1|0
	for event in $events; do echo $1 >$tracing/events/kmem/$event/enable; done
}

bound() { # stock|rust
	driver $1
	for function in $functions; do seize $function; done
	# What is freed after a grace period is free by then.
	sleep 2
}

measure() { # stock|rust
	unload
	echo >$tracing/trace
	watch 1
	bound $1
	watch 0
	# Entries in the buffer, and entries written.
	grep -qE '^# entries.*: ([0-9]+)/\1 ' $tracing/trace || give_up "more happened than could be traced"
	sample memory $1 $count $(python3 -IS -c '
import re, sys
cached = re.compile(r"call_site=(__d_alloc|alloc_inode|\w*_alloc_inode|kernfs_fop_open|seq_\w+|alloc_empty_file|getname\w*|xas_\w+)\b")
live = {}
for line in sys.stdin:
    if not (found := re.search(r" (kmalloc|kmem_cache_alloc|kfree|kmem_cache_free): .*?ptr=(\S+)", line)):
        continue
    size = re.search(r"bytes_alloc=(\d+)", line)
    if size and not cached.search(line):
        live[found[2]] = int(size[1])
    elif not size:
        live.pop(found[2], None)
print(sum(live.values()) // int(sys.argv[1]))' $count <$tracing/trace)
	for function in $functions; do give_back $function; done
}

echo 50000 >$tracing/buffer_size_kb
find_functions $(quick 8 32) for_both
without_reset
round=0
while [ $round -lt $rounds ]; do
	round=$((round + 1))
	for name in stock rust; do measure $name; done
	echo "# memory: round $round of $rounds"
done
unload
echo 1408 >$tracing/buffer_size_kb
