# SPDX-License-Identifier: GPL-2.0
#
# Bindings to what the kernel crate does not bind. The kernel's own bindgen
# rules are private to its rust/ directory; these follow them.

# GCC flags that libclang does not know: taken from the kernel, never a copy.
bindgen_skip_c_flags := $(shell sed -n '/^bindgen_skip_c_flags :=/,/[^\\]$$/p' \
	$(srctree)/rust/Makefile | sed -e 's/^bindgen_skip_c_flags :=//' -e 's/\\$$//')

BINDGEN_TARGET_x86 := x86_64-linux-gnu

bindgen_c_flags = $(filter-out $(bindgen_skip_c_flags), $(c_flags)) \
	-w --target=$(BINDGEN_TARGET_$(SRCARCH)) -fno-builtin -D__BINDGEN__ -DMODULE

quiet_cmd_bindgen = BINDGEN $@
      cmd_bindgen = \
	$(BINDGEN) $< $(bindgen_target_flags) \
		--rust-target 1.85 --use-core --with-derive-default \
		--ctypes-prefix ffi --no-layout-tests --no-debug '.*' \
		--enable-function-attribute-detection \
		-o $@ -- $(bindgen_c_flags) ; $(bindgen_target_extra)

xen-bindings := $(obj)/rust/xen/bindings

# Types that the kernel crate has are taken from there: nothing is bound that
# is not asked for by name.
$(xen-bindings)/bindings_generated.rs: private bindgen_target_flags = \
	$(shell grep -Ev '^\#|^$$' $(src)/rust/xen/bindings/parameters)
$(xen-bindings)/bindings_generated.rs: private bindgen_target_extra = \
	sed -Ei 's/pub const RUST_CONST_HELPER_([a-zA-Z0-9_]*)/pub const \1/g' $@
$(xen-bindings)/bindings_generated.rs: $(src)/rust/xen/bindings/bindings.h \
		$(src)/rust/xen/bindings/parameters FORCE
	$(call if_changed_dep,bindgen)

helper_names = sed -Ei 's/pub fn rust_helper_([a-zA-Z0-9_]*)/\#[link_name="rust_helper_\1"]\n    pub fn \1/g' $@

$(xen-bindings)/helpers_generated.rs: private bindgen_target_flags = \
	--blocklist-type '.*' --allowlist-var '' \
	--allowlist-function 'rust_helper_.*'
$(xen-bindings)/helpers_generated.rs: private bindgen_target_extra = \
	$(helper_names)
$(xen-bindings)/helpers_generated.rs: $(src)/rust/xen/helpers/helpers.c FORCE
	$(call if_changed_dep,bindgen)

# The functions that raise trace events, in the drivers' files $(xen-trace).
$(xen-bindings)/trace_generated.rs: private bindgen_target_flags = \
	--blocklist-type '.*' --allowlist-var '' \
	--allowlist-function 'rust_helper_trace_.*'
$(xen-bindings)/trace_generated.rs: private bindgen_target_extra = \
	$(helper_names)
$(xen-bindings)/trace_generated.rs: private bindgen_c_flags += \
	$(addprefix -include $(src)/,$(xen-trace))
$(xen-bindings)/trace_generated.rs: $(src)/rust/xen/helpers/helpers.c \
		$(addprefix $(src)/,$(xen-trace)) FORCE
	$(call if_changed_dep,bindgen)

targets += rust/xen/bindings/bindings_generated.rs
targets += rust/xen/bindings/helpers_generated.rs
targets += rust/xen/bindings/trace_generated.rs
