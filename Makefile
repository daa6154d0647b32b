# SPDX-License-Identifier: GPL-2.0
#
# The front door. Everything is made in build/, in a chroot that is made there
# too (selftests/vm/setup). Only relative names are used here: the path of this
# directory may have spaces, which make does not understand.

MAKEFLAGS += --no-print-directory --no-builtin-rules
SHELL := /bin/sh
SANDBOX := selftests/vm/sandbox

# Options of a run, for everything below.
export KERNEL QEMU_ARGS QEMU_NIC PCIBACK PCIDEV DOM0 DOM0_ARGS XEN_ARGS MODPROBE
export CLOCK SMP MEMORY DOM0_MEMORY TIMEOUT TESTS PART QUICK JOBS SCRIPT DEBIAN_MIRROR KDIR DESTDIR

.PHONY: help
help:
	@echo 'make run       assign a NIC to a guest, use it, return it; a table and PASS or FAIL'
	@echo 'make test      every test there is, and how many passed'
	@echo 'make test-hard faults, hostile guests, races, fuzzers, soak, a debug kernel: an hour and'
	@echo '               more; with PART=name: debug faults fuzz hostile install patches races soak'
	@echo 'make bench     measure the stock driver and ours side by side; a table, JSON and plots'
	@echo '               in build/bench; QUICK=1: as little as shows that it works'
	@echo 'make vm        a shell in dom0; with SCRIPT=file: run it there as root'
	@echo '               (make ends with 2 for any failure; selftests/vm/vm FILE [ARG...]'
	@echo '               ends with the exit status of FILE, or 125 if the VM failed)'
	@echo 'make modules   the kernel modules, in build/modules; with KDIR=dir: against that'
	@echo '               kernel tree, with the tools of this machine'
	@echo 'make samples   the programs and the module that show how to use them, in build/bin'
	@echo 'make lint      rustfmt, clippy, checkpatch and our own rules'
	@echo 'make doc       the documentation, with that of the crates: build/doc/html/index.html'
	@echo 'make patches   a series of patches against the kernel that the modules are for, in'
	@echo '               build/patches'
	@echo 'make install   install the modules for the running kernel, and pcidev (DESTDIR=)'
	@echo 'make deb       a Debian package for a real dom0, in build/deb: the modules by DKMS,'
	@echo '               the tool pcidev, and what loads them at boot'
	@echo 'make dkms      the same without a package, on the machine that is to have it, as root;'
	@echo '               make dkms-remove undoes it'
	@echo 'make setup     only what the others start with: chroots, kernel, modules'
	@echo 'make shell     a shell in the tools chroot'
	@echo 'make clean     remove what was built; distclean: the chroots too'
	@echo
	@echo 'Options of a run: PCIDEV=yes|no PCIBACK=rust|stock|none DOM0=pvh|pv|bare SMP=n TIMEOUT=s'
	@echo '  KERNEL=stock|debug (debug: one that looks for bugs; its first build takes minutes)'
	@echo '  QEMU_ARGS="-device ..." QEMU_NIC=none DOM0_ARGS=... XEN_ARGS=... MODPROBE=...'
	@echo '  MEMORY=MiB DOM0_MEMORY=MiB'
	@echo '  CLOCK=host|instructions (instructions: their number, as in the tests; host: real time)'
	@echo 'Options of test and bench: TESTS=glob (such as lint or guests*), JOBS=machines side by side'
	@echo 'Options of set-up: DEBIAN_MIRROR=URL'

.PHONY: setup
setup:
	@selftests/vm/setup $$KERNEL

.PHONY: run test test-hard bench lint doc patches
run: setup
	@$(SANDBOX) selftests/vm/run
test: setup
	@$(SANDBOX) selftests/vm/test.py
# What only some parts need: the debug kernel, a system for the package.
test-hard: parts := $(or $(PART),debug install)
test-hard:
	@selftests/vm/setup $(if $(filter debug faults fuzz races,$(parts)),debug) $(if $(filter install,$(parts)),packaging)
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
# What would else be said in hundreds of lines, by bindgen and rustc.
modules:
	@kernel=$$(cat "$$KDIR/include/config/kernel.release") || exit 1; \
	if [ "$$(printf '%s\n' 7.2 "$$kernel" | sort -V | head -n 1)" != 7.2 ]; then \
		echo "error: kernel $$kernel: it is older than 7.2" >&2; exit 1; \
	elif [ ! -e "$$KDIR/rust/libkernel.rmeta" ]; then \
		echo "error: kernel $$kernel: there is no $$KDIR/rust/libkernel.rmeta:" \
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
