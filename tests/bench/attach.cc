// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// attach OBJ LINK: load the object's one program, attach it where its section says, and pin
// the link at LINK. (bpftool can from 7.2 on.)

#include <bpf/libbpf.h>

#include <cerrno>
#include <memory>

#include "../../tools/lib/cli.h"

struct CloseObject {
	void operator()(struct bpf_object *object) const
	{
		bpf_object__close(object);
	}
};

static int attach(int argc, char **argv)
{
	if (argc != 3)
		fail("read the arguments", "they are not OBJ LINK");
	std::unique_ptr<struct bpf_object, CloseObject> object(bpf_object__open(argv[1]));
	if (!object || bpf_object__load(object.get()))
		fail(errno, "load " + quote(argv[1]));
	struct bpf_link *link =
		bpf_program__attach(bpf_object__next_program(object.get(), nullptr));
	if (!link || bpf_link__pin(link, argv[2]))
		fail(errno, "attach the program of " + quote(argv[1]));
	return 0; // the pin holds it
}

int main(int argc, char **argv)
{
	return run_tool("attach", attach, argc, argv);
}
