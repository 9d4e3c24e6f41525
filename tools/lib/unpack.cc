// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "unpack.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <lzma.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>

#include "cli.h"

constexpr size_t block = size_t{64} << 10;	    // bytes that are read at a time
constexpr uint64_t xz_memory = uint64_t{256} << 20; // four times what xz -9 needs
constexpr const char *too_short = "unexpected end of file";
constexpr const char *too_long = "other data follows the compressed data";

static unsigned char *bytes(std::span<char> text)
{
	return reinterpret_cast<unsigned char *>(text.data());
}

static unsigned char *bytes(std::string_view text)
{
	return reinterpret_cast<unsigned char *>(const_cast<char *>(text.data()));
}

// ---- gzip

// RFC 1952: members one behind the other are one file. gzip(1) takes zeros behind them, too, as
// tapes have them.
class GzipDecoder : public Decoder
{
public:
	explicit GzipDecoder(const std::string &what) : what_(what)
	{
		if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK)
			fail(ENOMEM, what_);
	}
	GzipDecoder(const GzipDecoder &) = delete;
	GzipDecoder &operator=(const GzipDecoder &) = delete;
	~GzipDecoder() override
	{
		inflateEnd(&stream_);
	}

	bool decode(std::string_view &in, std::span<char> &out, bool) override
	{
		if (between_ && members_ && !in.empty() && !in[0])
			padded_ = true;
		if (padded_) {
			if (in.find_first_not_of('\0') != std::string_view::npos)
				fail(what_, too_long);
			in = {};
			return true;
		}
		if (in.empty() && between_)
			return members_;
		inflate_some(in, out);
		return between_;
	}

private:
	void inflate_some(std::string_view &in, std::span<char> &out)
	{
		stream_.next_in = bytes(in);
		stream_.avail_in = static_cast<unsigned>(in.size());
		stream_.next_out = bytes(out);
		stream_.avail_out = static_cast<unsigned>(out.size());
		int ret = inflate(&stream_, Z_NO_FLUSH);

		in = in.substr(in.size() - stream_.avail_in);
		out = out.last(stream_.avail_out);
		between_ = ret == Z_STREAM_END;
		if (between_) {
			members_++;
			inflateReset(&stream_);
		} else if (ret == Z_MEM_ERROR) {
			fail(ENOMEM, what_);
		} else if (ret != Z_OK && ret != Z_BUF_ERROR) {
			bool is_header = members_ && stream_.total_in <= 2;

			fail(what_, is_header	  ? too_long
				    : stream_.msg ? stream_.msg
						  : "the compressed data is damaged");
		}
	}

	std::string what_;
	z_stream stream_ = {};
	size_t members_ = 0;
	bool between_ = true; // members
	bool padded_ = false;
};

// ---- libraries that are opened when they are needed

// liblzma and libzstd would take a tenth of a millisecond of each start, and most lists are not
// compressed by them.
class Library
{
public:
	Library(const char *name, const char *program, const std::string &what)
	    : handle_(dlopen(name, RTLD_NOW | RTLD_LOCAL)), name_(name), what_(what)
	{
		if (!handle_)
			fail(what_, std::string("it is compressed by ") + program + ", and " +
					    name + " cannot be loaded");
	}

	// Its function of this name, of the type of `function`.
	template <typename Function> void find(Function *&function, const char *name) const
	{
		function = reinterpret_cast<Function *>(dlsym(handle_, name));
		if (!function)
			fail(what_, name_ + " has no " + name);
	}

private:
	void *handle_; // until the tool ends
	std::string name_;
	std::string what_;
};

// ---- xz

class XzDecoder : public Decoder
{
public:
	explicit XzDecoder(const std::string &what) : what_(what)
	{
		Library library("liblzma.so.5", "xz", what);
		decltype(lzma_stream_decoder) *init;

		library.find(init, "lzma_stream_decoder");
		library.find(code_, "lzma_code");
		library.find(end_, "lzma_end");
		check(init(&stream_, xz_memory, LZMA_CONCATENATED));
	}
	XzDecoder(const XzDecoder &) = delete;
	XzDecoder &operator=(const XzDecoder &) = delete;
	~XzDecoder() override
	{
		end_(&stream_);
	}

	bool decode(std::string_view &in, std::span<char> &out, bool at_end) override
	{
		if (done_)
			return true;
		stream_.next_in = bytes(in);
		stream_.avail_in = in.size();
		stream_.next_out = bytes(out);
		stream_.avail_out = out.size();
		lzma_ret ret = code_(&stream_, at_end ? LZMA_FINISH : LZMA_RUN);

		in = in.substr(in.size() - stream_.avail_in);
		out = out.last(stream_.avail_out);
		done_ = ret == LZMA_STREAM_END;
		if (!done_)
			check(ret);
		return done_;
	}

private:
	void check(lzma_ret ret) const
	{
		switch (ret) {
		case LZMA_OK:
		case LZMA_BUF_ERROR: // it needs more
			return;
		case LZMA_MEM_ERROR:
			fail(ENOMEM, what_);
		case LZMA_MEMLIMIT_ERROR:
			fail(what_, "unpacking it takes more than 256 MiB of memory");
		case LZMA_OPTIONS_ERROR:
			fail(what_, "liblzma does not know how it is compressed");
		default:
			fail(what_, "the compressed data is damaged");
		}
	}

	std::string what_;
	lzma_stream stream_ = LZMA_STREAM_INIT;
	decltype(lzma_code) *code_ = nullptr;
	decltype(lzma_end) *end_ = nullptr;
	bool done_ = false;
};

// ---- zstd

class ZstdDecoder : public Decoder
{
public:
	explicit ZstdDecoder(const std::string &what) : what_(what)
	{
		Library library("libzstd.so.1", "zstd", what);
		decltype(ZSTD_createDStream) *create;

		library.find(create, "ZSTD_createDStream");
		library.find(free_, "ZSTD_freeDStream");
		library.find(code_, "ZSTD_decompressStream");
		library.find(is_error_, "ZSTD_isError");
		library.find(error_name_, "ZSTD_getErrorName");
		stream_ = create();
		if (!stream_)
			fail(ENOMEM, what_);
	}
	ZstdDecoder(const ZstdDecoder &) = delete;
	ZstdDecoder &operator=(const ZstdDecoder &) = delete;
	~ZstdDecoder() override
	{
		free_(stream_);
	}

	bool decode(std::string_view &in, std::span<char> &out, bool) override
	{
		if (between_ && in.empty())
			return frames_;
		ZSTD_inBuffer from = {in.data(), in.size(), 0};
		ZSTD_outBuffer to = {out.data(), out.size(), 0};
		size_t ret = code_(stream_, &to, &from);

		in = in.substr(from.pos);
		out = out.subspan(to.pos);
		if (is_error_(ret))
			fail(what_, frames_ && between_ ? too_long : error_name_(ret));
		between_ = !ret;
		frames_ += between_;
		return between_;
	}

private:
	std::string what_;
	ZSTD_DStream *stream_ = nullptr;
	decltype(ZSTD_freeDStream) *free_ = nullptr;
	decltype(ZSTD_decompressStream) *code_ = nullptr;
	decltype(ZSTD_isError) *is_error_ = nullptr;
	decltype(ZSTD_getErrorName) *error_name_ = nullptr;
	size_t frames_ = 0;
	bool between_ = true; // frames
};

// ---- the file

// The decoder for a file that begins like this, or nullptr.
static std::unique_ptr<Decoder> make_decoder(std::string_view begin, const std::string &what)
{
	using namespace std::string_view_literals;

	if (begin.starts_with("\x1f\x8b"sv)) // RFC 1952
		return std::make_unique<GzipDecoder>(what);
	if (begin.starts_with("\xfd"
			      "7zXZ\0"sv))
		return std::make_unique<XzDecoder>(what);
	// RFC 8878: a frame, or one that is skipped.
	if (begin.starts_with("\x28\xb5\x2f\xfd"sv) ||
	    (begin.size() >= 4 && (begin[0] & 0xf0) == 0x50 &&
	     begin.substr(1, 3) == "\x2a\x4d\x18"sv))
		return std::make_unique<ZstdDecoder>(what);
	return nullptr;
}

Unpacker::Unpacker(const std::string &path, const std::string &what)
    : what_(what), fd_(path == "-" ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
				   : open(path.c_str(), O_RDONLY | O_CLOEXEC))
{
	if (!fd_)
		fail(errno, what_);
	fill();
	decoder_ = make_decoder(rest_, what_);
}

size_t Unpacker::read_file(std::span<char> to)
{
	size_t size = 0;

	while (size < to.size()) {
		ssize_t n = ::read(fd_.get(), to.data() + size, to.size() - size);

		if (n < 0)
			fail(errno, what_);
		if (!n) {
			at_end_ = true;
			break;
		}
		size += n;
	}
	return size;
}

void Unpacker::fill()
{
	packed_.resize(block);
	rest_ = std::string_view(packed_).substr(0, read_file(packed_));
}

size_t Unpacker::read(std::span<char> to)
{
	std::span<char> out = to;

	if (!decoder_) {
		size_t size = rest_.copy(out.data(), out.size());

		rest_.remove_prefix(size);
		return size + (at_end_ ? 0 : read_file(out.subspan(size)));
	}
	while (!out.empty()) {
		if (rest_.empty() && !at_end_)
			fill();
		size_t before = rest_.size() + out.size();
		bool may_end = decoder_->decode(rest_, out, at_end_);
		if (at_end_ && before == rest_.size() + out.size()) {
			if (!may_end)
				fail(what_, too_short);
			break;
		}
	}
	return to.size() - out.size();
}
