// The scanner for Node: three functions over js_native_api, nothing else. Checks its arguments, keeps none of them.
#include <node_api.h>

#include "scanner_core.hpp"

namespace {

using postern::CUT_SLOTS;
using postern::CUTS_MAX;
using postern::STATE_SLOTS;

napi_value fail(napi_env env, const char *message) {
  napi_throw_type_error(env, nullptr, message);
  return nullptr;
}

// The memory of a typed array of this type with at least so many elements, or null.
void *memory_of(napi_env env, napi_value value, napi_typedarray_type wanted, size_t least, size_t *length) {
  napi_typedarray_type type;
  void *memory = nullptr;
  if (napi_get_typedarray_info(env, value, &type, length, &memory, nullptr, nullptr) != napi_ok) return nullptr;
  return type == wanted && *length >= least ? memory : nullptr;
}

postern::Scan chosen_scan = nullptr;
const char *chosen_name = "";

// scan(bytes, from, to, state, cuts): number
napi_value scan(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  size_t count = 5;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || count != 5) {
    return fail(env, "scan takes bytes, from, to, state, cuts");
  }
  size_t bytes_length = 0;
  size_t ignored = 0;
  int64_t from = -1;
  int64_t to = -1;
  void *state = memory_of(env, arguments[3], napi_int32_array, STATE_SLOTS, &ignored);
  void *cuts = memory_of(env, arguments[4], napi_int32_array, CUTS_MAX * CUT_SLOTS, &ignored);
  void *bytes = memory_of(env, arguments[0], napi_uint8_array, 0, &bytes_length);
  if (napi_get_value_int64(env, arguments[1], &from) != napi_ok ||
      napi_get_value_int64(env, arguments[2], &to) != napi_ok || state == nullptr || cuts == nullptr) {
    return fail(env, "scan takes a Uint8Array, two numbers, and two Int32Arrays with room enough");
  }
  if (from < 0 || from > to || static_cast<uint64_t>(to) > bytes_length || to > INT32_MAX) {
    return fail(env, "the range does not lie in the chunk");
  }
  size_t end = static_cast<size_t>(from);
  if (from < to) {
    if (bytes == nullptr) return fail(env, "scan takes a Uint8Array");
    end = chosen_scan(static_cast<const uint8_t *>(bytes), static_cast<size_t>(from), static_cast<size_t>(to),
                      static_cast<int32_t *>(state), static_cast<int32_t *>(cuts));
  } else {
    static_cast<int32_t *>(state)[postern::STATE_CUTS] = 0;
  }
  napi_value result;
  return napi_create_uint32(env, static_cast<uint32_t>(end), &result) == napi_ok ? result : nullptr;
}

// finish(state): number
napi_value finish(napi_env env, napi_callback_info info) {
  napi_value argument;
  size_t count = 1;
  size_t ignored = 0;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr) != napi_ok || count != 1) {
    return fail(env, "finish takes state");
  }
  void *state = memory_of(env, argument, napi_int32_array, STATE_SLOTS, &ignored);
  if (state == nullptr) return fail(env, "finish takes an Int32Array with room enough");
  napi_value result;
  const int insert = postern::finish(static_cast<int32_t *>(state));
  return napi_create_int32(env, insert, &result) == napi_ok ? result : nullptr;
}

bool define(napi_env env, napi_value exports, const char *name, napi_callback callback) {
  napi_value function;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) == napi_ok &&
         napi_set_named_property(env, exports, name, function) == napi_ok;
}

}  // namespace

// Once for every thread that loads it; what is static here is written alike by all of them.
NAPI_MODULE_INIT() {
  chosen_scan = postern::choose_scan(&chosen_name);
  napi_value version;
  napi_value instructions;
  if (!define(env, exports, "scan", scan) || !define(env, exports, "finish", finish) ||
      napi_create_int32(env, postern::INTERFACE_VERSION, &version) != napi_ok ||
      napi_set_named_property(env, exports, "version", version) != napi_ok ||
      napi_create_string_utf8(env, chosen_name, NAPI_AUTO_LENGTH, &instructions) != napi_ok ||
      napi_set_named_property(env, exports, "instructions", instructions) != napi_ok) {
    return nullptr;
  }
  return exports;
}
