// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Compressed lists. The first byte says what the rest is: a file as it is, or text that is packed
// here, in one member or two, and then damaged or cut. Checksums would keep a mutated file from
// getting far; and what was packed here has one right answer.
#include "../../../tools/lib/unpack.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <system_error>

#include "fuzz.h"

static std::string gzip(std::string_view text)
{
	z_stream stream = {};
	std::string out(compressBound(text.size()) + 32, '\0');

	deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
	stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
	stream.avail_in = text.size();
	stream.next_out = reinterpret_cast<Bytef *>(out.data());
	stream.avail_out = out.size();
	check(deflate(&stream, Z_FINISH) == Z_STREAM_END, "it is not packed");
	out.resize(stream.total_out);
	deflateEnd(&stream);
	return out;
}

static std::string xz(std::string_view text)
{
	std::string out(lzma_stream_buffer_bound(text.size()), '\0');
	size_t size = 0;

	check(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, nullptr,
				      reinterpret_cast<const uint8_t *>(text.data()), text.size(),
				      reinterpret_cast<uint8_t *>(out.data()), &size,
				      out.size()) == LZMA_OK,
	      "it is not packed");
	out.resize(size);
	return out;
}

static std::string zstd(std::string_view text)
{
	static ZSTD_CCtx *context = ZSTD_createCCtx();
	std::string out(ZSTD_compressBound(text.size()), '\0');

	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	size_t size = ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size());
	check(!ZSTD_isError(size), "it is not packed");
	out.resize(size);
	return out;
}

// What is unpacked, up to 1 MiB of it; false where it is refused.
static bool unpack(std::string_view packed, size_t step, std::string &out)
{
	MemoryFile file(packed);
	std::string block(step, '\0');

	try {
		Unpacker unpacker(file.path(), "unpack");
		for (size_t size = step; size == step && out.size() < 1 << 20;) {
			size = unpacker.read(block);
			out.append(block, 0, size);
		}
	} catch (const std::runtime_error &) {
		return false;
	}
	return true;
}

static std::string pack(int format, std::string_view text)
{
	return format == 1 ? gzip(text) : format == 2 ? xz(text) : zstd(text);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	constexpr size_t steps[] = {1, 7, 4096, 262144};
	std::string_view input = as_text(data, size);
	uint8_t what = take_byte(input);
	int format = what & 3;
	std::string out;

	if (!format) {
		unpack(input, steps[what >> 2 & 3], out);
		return 0;
	}
	size_t at = take_byte(input) << 8;
	at |= take_byte(input);
	auto bit = static_cast<char>(1 << (take_byte(input) & 7));
	size_t half = what & 16 ? input.size() / 2 : input.size();
	std::string packed = pack(format, input.substr(0, half));
	size_t boundary = packed.size();
	if (what & 16)
		packed += pack(format, input.substr(half));
	at = 6 + at % (packed.size() - 6); // without its first bytes it is a file like others
	if (what & 32)
		packed[at] ^= bit;
	if (what & 64)
		packed.resize(at);
	bool good = unpack(packed, steps[what >> 2 & 3], out);

	if (what & 64 && !(what & 16 && at == boundary))
		check(!good, "a file that was cut is taken for a whole one");
	else if (what & 64 || what & 32)
		check(!good || out == input || (what & 64 && out == input.substr(0, half)),
		      "a damaged file is taken for another one");
	else
		check(good && out == input, "it is not unpacked as it was packed");
	return 0;
}
