// What Node sees of it, in plain C Node-API: scanner and CRC-32, functions that check their arguments and keep none of
// them, and the acceptor (acceptor.cc).
#include <node_api.h>

#include "acceptor.hpp"
#include "crc32_core.hpp"
#include "scanner_core.hpp"

namespace {

using postern::CUT_SLOTS;
using postern::CUTS_MAX;
using postern::RELAXED_OUT_BYTES_MIN;
using postern::RELAXED_SLOTS;
using postern::STATE_SLOTS;

napi_value fail(napi_env env, const char *message) {
  napi_throw_type_error(env, nullptr, message);
  return nullptr;
}

template <typename Element>
struct Array {
  Element *at = nullptr;  // null for an array without elements
  size_t length = 0;
};

// False where `value` is no typed array of this type with at least so many elements.
template <typename Element>
bool read(napi_env env, napi_value value, napi_typedarray_type wanted, size_t least, Array<Element> *array) {
  napi_typedarray_type type;
  void *memory = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &array->length, &memory, nullptr, nullptr) != napi_ok) return false;
  array->at = static_cast<Element *>(memory);
  return type == wanted && array->length >= least;
}

// Chosen once, while the library is loaded; the threads that use it only read it.
const postern::NamedScan chosen = postern::best_scan();

// The offset that `value` is, or -1: numbers with a fraction are refused, not rounded.
int64_t offset_of(napi_env env, napi_value value) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok || !(number >= 0 && number <= INT32_MAX)) return -1;
  const auto offset = static_cast<int64_t>(number);
  return static_cast<double>(offset) == number ? offset : -1;
}

// scan(bytes, from, to, state, cuts): number
napi_value scan(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  size_t count = 5;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || count != 5) {
    return fail(env, "scan takes bytes, from, to, state, cuts");
  }
  Array<const uint8_t> bytes;
  Array<int32_t> state;
  Array<int32_t> cuts;
  if (!read(env, arguments[0], napi_uint8_array, 0, &bytes)) return fail(env, "bytes is a Uint8Array");
  if (!read(env, arguments[3], napi_int32_array, STATE_SLOTS, &state) ||
      !read(env, arguments[4], napi_int32_array, CUTS_MAX * CUT_SLOTS, &cuts)) {
    return fail(env, "state and cuts are Int32Arrays with room enough");
  }
  const int64_t from = offset_of(env, arguments[1]);
  const int64_t to = offset_of(env, arguments[2]);
  if (from < 0 || from > to || static_cast<uint64_t>(to) > bytes.length) {
    return fail(env, "the range lies in the chunk");
  }
  const size_t end = chosen.scan(bytes.at, static_cast<size_t>(from), static_cast<size_t>(to), state.at, cuts.at);
  napi_value result;
  return napi_create_uint32(env, static_cast<uint32_t>(end), &result) == napi_ok ? result : nullptr;
}

// relax(bytes, from, to, state, out): number
napi_value relax(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  size_t count = 5;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || count != 5) {
    return fail(env, "relax takes bytes, from, to, state, out");
  }
  Array<const uint8_t> bytes;
  Array<int32_t> state;
  Array<uint8_t> out;
  if (!read(env, arguments[0], napi_uint8_array, 0, &bytes)) return fail(env, "bytes is a Uint8Array");
  if (!read(env, arguments[3], napi_int32_array, RELAXED_SLOTS, &state) ||
      !read(env, arguments[4], napi_uint8_array, RELAXED_OUT_BYTES_MIN, &out)) {
    return fail(env, "state is an Int32Array, out a Uint8Array, both with room enough");
  }
  const int64_t from = offset_of(env, arguments[1]);
  const int64_t to = offset_of(env, arguments[2]);
  if (from < 0 || from > to || static_cast<uint64_t>(to) > bytes.length) {
    return fail(env, "the range lies in the chunk");
  }
  const size_t end =
      chosen.relax(bytes.at, static_cast<size_t>(from), static_cast<size_t>(to), state.at, out.at, out.length);
  napi_value result;
  return napi_create_uint32(env, static_cast<uint32_t>(end), &result) == napi_ok ? result : nullptr;
}

// finish(state): number
napi_value finish(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  Array<int32_t> state;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr) != napi_ok || count != 1 ||
      !read(env, argument, napi_int32_array, STATE_SLOTS, &state)) {
    return fail(env, "finish takes state, an Int32Array with room enough");
  }
  napi_value result;
  const int insert = postern::finish(state.at);
  return napi_create_int32(env, insert, &result) == napi_ok ? result : nullptr;
}

// crc32(bytes, crc): number
napi_value crc32(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t count = 2;
  Array<const uint8_t> bytes;
  uint32_t crc = 0;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || count != 2 ||
      !read(env, arguments[0], napi_uint8_array, 0, &bytes) ||
      napi_get_value_uint32(env, arguments[1], &crc) != napi_ok) {
    return fail(env, "crc32 takes bytes, a Uint8Array, and the number before");
  }
  napi_value result;
  return napi_create_uint32(env, postern::crc32(bytes.at, bytes.length, crc), &result) == napi_ok ? result : nullptr;
}

bool define(napi_env env, napi_value exports, const char *name, napi_callback callback) {
  napi_value function;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) == napi_ok &&
         napi_set_named_property(env, exports, name, function) == napi_ok;
}

}  // namespace

// Once for every thread that loads it.
NAPI_MODULE_INIT() {
  napi_value version;
  napi_value instructions;
  if (!define(env, exports, "scan", scan) || !define(env, exports, "finish", finish) ||
      !define(env, exports, "relax", relax) || !postern::export_acceptor(env, exports) ||
      (postern::has_fast_crc32() && !define(env, exports, "crc32", crc32)) ||
      napi_create_int32(env, postern::INTERFACE_VERSION, &version) != napi_ok ||
      napi_set_named_property(env, exports, "version", version) != napi_ok ||
      napi_create_string_utf8(env, chosen.name, NAPI_AUTO_LENGTH, &instructions) != napi_ok ||
      napi_set_named_property(env, exports, "instructions", instructions) != napi_ok) {
    return nullptr;
  }
  return exports;
}
