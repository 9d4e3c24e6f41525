// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The global variables of an object that is open and not loaded yet: --set.
#pragma once

#include <bpf/libbpf.h>

#include <string>

// Set a global variable, or a part of one: name[2].member. `value` is read as lib/value.h
// reads the variable's BTF type. Warns where the compiler may have used the old value.
void set_variable(struct bpf_object *object, const std::string &variable, const std::string &value);

// Set the object's `frags` if it has one: the kit's XDP objects have to know that a frame may have
// more than one buffer.
void set_frags(struct bpf_object *object);
