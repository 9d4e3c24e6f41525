/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* LPM tries. */
#ifndef HOOKSET_LPM_H
#define HOOKSET_LPM_H

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* The part of the kernel's structure that is_empty() needs. */
struct lpm_trie {
	unsigned long n_entries;
} __attribute__((preserve_access_index));

/*
 * Has this LPM trie no entry? The kernel counts them, whoever adds and removes them. A lookup in an
 * empty trie takes several times as long as this. libbpf finds the place of the count by the BTF of
 * the running kernel. The barrier keeps one such place for each map: clang 19 would else keep it in
 * a register and add it to several maps, which the verifier refuses. No `const`: for gcc, libbpf
 * would look for a type of that name.
 */
static __always_inline bool is_empty(void *map)
{
	asm volatile("" ::: "memory");
	return !((struct lpm_trie *)map)->n_entries;
}

#endif
