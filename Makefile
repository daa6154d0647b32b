# SPDX-License-Identifier: GPL-2.0
#
# The entry point. Everything is built in build/, in a chroot that is built there
# as well (selftests/vm/setup). Use relative names only: the path of this directory
# may have spaces, which make does not support.

MAKEFLAGS += --no-print-directory --no-builtin-rules
SHELL := /bin/sh
SANDBOX := selftests/vm/sandbox

# Options of a run, for all targets.
export KERNEL QEMU_ARGS QEMU_NIC PCIBACK PCIDEV DOM0 DOM0_ARGS XEN_ARGS MODPROBE
export CLOCK SMP MEMORY DOM0_MEMORY TIMEOUT ZOO XEN_DIST XEN_QEMU TESTS PART QUICK JOBS SCRIPT DEBIAN_MIRROR KDIR DESTDIR

.PHONY: help
help:
	@echo 'make run       assign a NIC to a guest, use it, return it; print a table, and PASS or FAIL'
	@echo 'make test      run the standard tests and count them; TESTS=GLOB: a part of them'
	@echo 'make test-hard run the long tests, for several hours: faults, hostile guests, races,'
	@echo '               fuzzers, soak, a debug kernel; PART=debug|faults|fuzz|guests|hostile|'
	@echo '               install|patches|races|soak|stock: one part'
	@echo 'make bench     measure the stock driver and ours; leave a table, JSON and plots in'
	@echo '               build/bench; QUICK=1: only show that everything can be measured'
	@echo 'make vm        open a shell in the emulated dom0; SCRIPT=FILE: run FILE there as root'
	@echo '               (make ends with 2 on any failure; selftests/vm/vm FILE [ARG...] ends'
	@echo '               with the exit status of FILE, or 125 if the machine failed)'
	@echo 'make modules   build the kernel modules in build/modules; KDIR=DIR: for that kernel'
	@echo '               tree, with the tools of this machine'
	@echo 'make samples   build the sample programs and the sample module in build/bin'
	@echo 'make lint      run rustfmt, clippy, checkpatch, Sphinx, codespell and our own checks'
	@echo 'make doc       build the documentation: build/doc/html/index.html'
	@echo 'make patches   convert the tree into a series of kernel patches in build/patches'
	@echo 'make install   install the modules for the running kernel, and pcidev (DESTDIR=)'
	@echo 'make deb       build a Debian package for a real dom0 in build/deb: the modules by'
	@echo '               DKMS, the program pcidev, scripts that load the modules at boot'
	@echo 'make dkms      install the same without a package and without pcidev, as root on the'
	@echo '               dom0 itself; make dkms-remove: undo it'
	@echo 'make setup     prepare only: chroots, kernel, modules'
	@echo 'make shell     open a shell in the tools chroot'
	@echo 'make clean     remove what was built; make distclean: the chroots, too'
	@echo
	@echo 'Options of a run: PCIDEV=yes|no PCIBACK=rust|stock|none DOM0=pvh|pv|bare SMP=n TIMEOUT=s'
	@echo '  KERNEL=stock|debug (debug: a kernel that detects bugs; its first build takes minutes)'
	@echo '  QEMU_ARGS="-device ..." QEMU_NIC=none DOM0_ARGS=... XEN_ARGS=... MODPROBE=...'
	@echo '  MEMORY=MiB DOM0_MEMORY=MiB'
	@echo '  ZOO="gpu nic-slow": PCI functions that a program plays, see Documentation/zoo.rst'
	@echo '  XEN_DIST=DIR: the Xen that is installed there, instead of Debian'"'"'s; XEN_QEMU=FILE: with'
	@echo '  this device model; see "A Xen of your own" in Documentation/development.rst'
	@echo '  CLOCK=host|instructions (instructions: the clock counts them; host: real time)'
	@echo 'Options of test and bench: TESTS=GLOB (lint, guests*), JOBS=number of parallel machines'
	@echo 'Options of set-up: DEBIAN_MIRROR=URL'

.PHONY: setup
setup:
	@selftests/vm/setup $$KERNEL $${ZOO:+zoo}

.PHONY: run test test-hard bench lint doc patches
run: setup
	@$(SANDBOX) selftests/vm/run
test:
	@selftests/vm/setup $$KERNEL zoo
	@$(SANDBOX) selftests/vm/test.py
# Set up only what the parts need: the debug kernel, a system for the package, emulated functions.
test-hard: parts := $(or $(PART),debug install faults)
test-hard:
	@selftests/vm/setup $(if $(filter debug faults fuzz hostile races,$(parts)),debug) $(if $(filter install,$(parts)),packaging) \
		$(if $(filter faults guests hostile soak stock,$(parts)),zoo)
	@$(SANDBOX) selftests/vm/test.py --hard
bench: setup
	@$(SANDBOX) selftests/bench/bench.py
lint: setup
	@$(SANDBOX) selftests/lint
doc: setup
	@$(SANDBOX) selftests/doc
patches: setup
	@$(SANDBOX) packaging/in-tree/make-patches

.PHONY: vm shell
vm:
	@selftests/vm/vm $${SCRIPT:+"$$SCRIPT"}
shell: setup
	@$(SANDBOX) bash

.PHONY: modules install
ifdef KDIR
# Check first: bindgen and rustc would report these errors in hundreds of lines.
modules:
	@kernel=$$(cat "$$KDIR/include/config/kernel.release") || exit 1; \
	if [ "$$(printf '%s\n' 7.2 "$$kernel" | sort -V | head -n 1)" != 7.2 ]; then \
		echo "error: kernel $$kernel: older than 7.2" >&2; exit 1; \
	elif [ ! -e "$$KDIR/rust/libkernel.rmeta" ]; then \
		echo "error: kernel $$kernel: no $$KDIR/rust/libkernel.rmeta:" \
			"on Ubuntu install linux-lib-rust-$$kernel, on Debian use make dkms" >&2; exit 1; \
	fi
	mkdir -p build/kdir build/modules
	$(MAKE) -C "$$KDIR" M="$$PWD" MO="$$PWD/build/kdir" modules
	cp build/kdir/*.ko build/modules
else
modules: setup
endif
install: modules
	selftests/vm/install

.PHONY: deb dkms dkms-remove
deb: setup
	@$(SANDBOX) $(MAKE) -C packaging deb
	@ls build/deb/*.deb
dkms dkms-remove:
	@$(MAKE) -C packaging $@

.PHONY: samples
samples: setup

.PHONY: clean distclean
clean:
	rm -rf build/bin build/cargo build/deb build/debug_kbuild build/debug_modules build/doc
	rm -rf build/images build/kbuild build/kdir
	rm -rf build/modules build/patches build/patched build/pycache build/run build/share
distclean:
	@rm -rf build 2>/dev/null || unshare --map-root-user --map-auto rm -rf build
