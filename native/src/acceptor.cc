// Accepts connections and gives their descriptors to JavaScript, so that no socket object is made of one before it is
// in the thread that will read from it:
//
//   listen(host, port, backlog, heard): { port, pause(), resume(), close() }    throws an Error with the system's code
//   heard(descriptors, addresses, fault)    fault: '' or the code of why accept goes no further; then pause
//
// All in the thread that called listen, by its own event loop: while JavaScript is busy nothing is accepted, and the
// kernel's backlog holds who comes. A descriptor that was heard of is the hearer's to close.
#include "acceptor.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

// What is used of libuv. Its header does not come with Node-API's, its interface is fixed for all of 1.x, and Node
// exports it: handles are opaque here, of the size that libuv says.
extern "C" {
struct uv_handle_s;
using uv_poll_callback = void (*)(uv_handle_s *, int status, int events);
using uv_close_callback = void (*)(uv_handle_s *);
size_t uv_handle_size(int type);
const char *uv_handle_type_name(int type);
const char *uv_err_name(int error);
void uv_handle_set_data(uv_handle_s *handle, void *data);
void *uv_handle_get_data(const uv_handle_s *handle);
int uv_poll_init(uv_loop_s *loop, uv_handle_s *handle, int descriptor);
int uv_poll_start(uv_handle_s *handle, int events, uv_poll_callback callback);
int uv_poll_stop(uv_handle_s *handle);
void uv_close(uv_handle_s *handle, uv_close_callback callback);
}

namespace {

constexpr int UV_POLL = 8;
constexpr int UV_READABLE = 1;

// The event loop does something else after so many.
constexpr uint32_t BATCH_MAX = 64;

struct Listener {
  napi_env env = nullptr;
  napi_ref heard = nullptr;
  napi_async_cleanup_hook_handle hook = nullptr;
  uv_handle_s *poll = nullptr;  // null: closed
  int descriptor = -1;
  // Freed by the later of libuv, which has done with it, and the object that stands for it, which is collected.
  int owners = 2;
};

constexpr napi_type_tag LISTENER_TAG = {0x6f1d2c7b8a9e4f05, 0x9b3c51e27d604a8f};

void disown(Listener *listener) {
  if (--listener->owners == 0) delete listener;
}

// No address is held from here on.
void shut(Listener *listener) {
  if (listener->poll == nullptr) return;
  uv_close(listener->poll, [](uv_handle_s *poll) {
    auto *closed = static_cast<Listener *>(uv_handle_get_data(poll));
    free(poll);
    napi_remove_async_cleanup_hook(closed->hook);
    disown(closed);
  });
  close(listener->descriptor);
  listener->poll = nullptr;
}

const char *code_of(int error) { return uv_err_name(-error); }

// Of this one connection, not of the listener: accept(2) passes on what happened to the connection meanwhile.
bool concerns_one(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

const char *text_of(const sockaddr_storage &address, char (&text)[INET6_ADDRSTRLEN]) {
  const void *octets = address.ss_family == AF_INET6
                           ? static_cast<const void *>(&reinterpret_cast<const sockaddr_in6 &>(address).sin6_addr)
                           : static_cast<const void *>(&reinterpret_cast<const sockaddr_in &>(address).sin_addr);
  return inet_ntop(address.ss_family, octets, text, sizeof text);
}

struct Batch {
  int descriptors[BATCH_MAX];
  sockaddr_storage peers[BATCH_MAX];
  uint32_t count = 0;
  const char *fault = "";
};

void accept_all(int listening, Batch *batch) {
  for (uint32_t tries = 0; tries < BATCH_MAX; tries++) {
    socklen_t length = sizeof batch->peers[0];
    const int descriptor = accept4(listening, reinterpret_cast<sockaddr *>(&batch->peers[batch->count]), &length,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      batch->descriptors[batch->count++] = descriptor;
    } else if (!concerns_one(errno)) {
      if (errno != EAGAIN) batch->fault = code_of(errno);
      return;
    }
  }
}

// False where JavaScript heard nothing of it.
bool tell(const Listener &listener, const Batch &batch) {
  napi_env env = listener.env;
  napi_value heard;
  napi_value receiver;
  napi_value arguments[3];
  if (napi_get_reference_value(env, listener.heard, &heard) != napi_ok ||
      napi_get_global(env, &receiver) != napi_ok ||
      napi_create_array_with_length(env, batch.count, &arguments[0]) != napi_ok ||
      napi_create_array_with_length(env, batch.count, &arguments[1]) != napi_ok ||
      napi_create_string_utf8(env, batch.fault, NAPI_AUTO_LENGTH, &arguments[2]) != napi_ok) {
    return false;
  }
  for (uint32_t at = 0; at < batch.count; at++) {
    char text[INET6_ADDRSTRLEN];
    napi_value descriptor;
    napi_value address;
    if (napi_create_int32(env, batch.descriptors[at], &descriptor) != napi_ok ||
        napi_create_string_utf8(env, text_of(batch.peers[at], text), NAPI_AUTO_LENGTH, &address) != napi_ok ||
        napi_set_element(env, arguments[0], at, descriptor) != napi_ok ||
        napi_set_element(env, arguments[1], at, address) != napi_ok) {
      return false;
    }
  }
  const napi_status status = napi_make_callback(env, nullptr, receiver, heard, 3, arguments, nullptr);
  napi_value thrown;
  if (status == napi_pending_exception && napi_get_and_clear_last_exception(env, &thrown) == napi_ok) {
    napi_fatal_exception(env, thrown);  // a defect of the hearer, who had them by then
    return true;
  }
  return status == napi_ok || status == napi_pending_exception;
}

void readable(uv_handle_s *poll, int status, int) {
  const auto &listener = *static_cast<Listener *>(uv_handle_get_data(poll));
  Batch batch;
  if (status < 0) batch.fault = uv_err_name(status);
  else accept_all(listener.descriptor, &batch);
  if (batch.count == 0 && *batch.fault == '\0') return;  // it had gone before we looked
  napi_handle_scope scope;
  if (napi_open_handle_scope(listener.env, &scope) == napi_ok) {
    const bool told = tell(listener, batch);
    napi_close_handle_scope(listener.env, scope);
    if (told) return;
  }
  for (uint32_t at = 0; at < batch.count; at++) close(batch.descriptors[at]);  // the thread ends
}

napi_value fail(napi_env env, const char *code, const char *message) {
  napi_throw_error(env, code, message);
  return nullptr;
}

// The error number, or 0 and a socket that listens, with SO_REUSEADDR as libuv has it; :: is IPv6 only, so that it
// stands beside 0.0.0.0 on one port.
int open_listening(const char *host, uint16_t port, int backlog, int *descriptor) {
  sockaddr_storage address = {};
  socklen_t length;
  auto &v4 = reinterpret_cast<sockaddr_in &>(address);
  auto &v6 = reinterpret_cast<sockaddr_in6 &>(address);
  if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    length = sizeof v4;
  } else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    length = sizeof v6;
  } else {
    return EINVAL;
  }
  const int opened = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (opened < 0) return errno;
  const int on = 1;
  // Linux gives TCP_NODELAY of a listening socket to those that it accepts.
  const bool listens = setsockopt(opened, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                       setsockopt(opened, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
                       (address.ss_family == AF_INET ||
                        setsockopt(opened, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
                       bind(opened, reinterpret_cast<sockaddr *>(&address), length) == 0 &&
                       ::listen(opened, backlog) == 0;
  const int error = errno;
  if (listens) {
    *descriptor = opened;
    return 0;
  }
  close(opened);
  return error;
}

int port_of(int descriptor) {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  if (getsockname(descriptor, reinterpret_cast<sockaddr *>(&address), &length) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6 &>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in &>(address).sin_port);
}

// Null, and an exception, where `this` is none.
Listener *this_of(napi_env env, napi_callback_info info) {
  napi_value self;
  bool is_listener = false;
  void *listener = nullptr;
  if (napi_get_cb_info(env, info, nullptr, nullptr, &self, nullptr) != napi_ok ||
      napi_check_object_type_tag(env, self, &LISTENER_TAG, &is_listener) != napi_ok || !is_listener ||
      napi_unwrap(env, self, &listener) != napi_ok) {
    napi_throw_type_error(env, nullptr, "not a listener");
    return nullptr;
  }
  return static_cast<Listener *>(listener);
}

napi_value pause(napi_env env, napi_callback_info info) {
  const Listener *listener = this_of(env, info);
  if (listener != nullptr && listener->poll != nullptr) uv_poll_stop(listener->poll);
  return nullptr;
}

napi_value resume(napi_env env, napi_callback_info info) {
  const Listener *listener = this_of(env, info);
  if (listener == nullptr || listener->poll == nullptr) return nullptr;
  const int status = uv_poll_start(listener->poll, UV_READABLE, readable);
  return status == 0 ? nullptr : fail(env, uv_err_name(status), "cannot watch the socket");
}

napi_value close_listener(napi_env env, napi_callback_info info) {
  Listener *listener = this_of(env, info);
  if (listener == nullptr || listener->poll == nullptr) return nullptr;
  shut(listener);
  napi_delete_reference(env, listener->heard);
  return nullptr;
}

bool wrap(napi_env env, napi_value object, Listener *listener) {
  napi_value port;
  if (napi_create_int32(env, port_of(listener->descriptor), &port) != napi_ok) return false;
  const napi_property_descriptor properties[] = {
      {"port", nullptr, nullptr, nullptr, nullptr, port, napi_enumerable, nullptr},
      {"pause", nullptr, pause, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"resume", nullptr, resume, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"close", nullptr, close_listener, nullptr, nullptr, nullptr, napi_default, nullptr},
  };
  return napi_define_properties(env, object, sizeof properties / sizeof *properties, properties) == napi_ok &&
         napi_type_tag_object(env, object, &LISTENER_TAG) == napi_ok &&
         napi_wrap(env, object, listener,
                   [](napi_env, void *wrapped, void *) { disown(static_cast<Listener *>(wrapped)); }, nullptr,
                   nullptr) == napi_ok;
}

// listen(host, port, backlog, heard)
napi_value listen(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  size_t count = 4;
  char host[INET6_ADDRSTRLEN + 1];
  size_t length = 0;
  uint32_t port = 0;
  int32_t backlog = 0;
  napi_valuetype heard = napi_undefined;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || count != 4 ||
      napi_get_value_string_utf8(env, arguments[0], host, sizeof host, &length) != napi_ok ||
      napi_get_value_uint32(env, arguments[1], &port) != napi_ok || port > UINT16_MAX ||
      napi_get_value_int32(env, arguments[2], &backlog) != napi_ok || backlog < 1 ||
      napi_typeof(env, arguments[3], &heard) != napi_ok || heard != napi_function) {
    napi_throw_type_error(env, nullptr, "listen takes host, port, backlog, heard");
    return nullptr;
  }
  uv_loop_s *loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok || strcmp(uv_handle_type_name(UV_POLL), "poll") != 0) {
    return fail(env, "ENOSYS", "not the libuv that it was built for");
  }
  auto *listener = new Listener{};
  listener->env = env;
  const int error = open_listening(host, static_cast<uint16_t>(port), backlog, &listener->descriptor);
  if (error != 0) {
    delete listener;
    return fail(env, code_of(error), strerror(error));
  }
  auto *poll = static_cast<uv_handle_s *>(calloc(1, uv_handle_size(UV_POLL)));
  int status = poll == nullptr ? -ENOMEM : uv_poll_init(loop, poll, listener->descriptor);
  if (status != 0) {
    free(poll);
    close(listener->descriptor);
    delete listener;
    return fail(env, uv_err_name(status), "cannot watch the socket");
  }
  listener->poll = poll;
  uv_handle_set_data(poll, listener);
  napi_value object;
  const bool made =
      napi_create_object(env, &object) == napi_ok && wrap(env, object, listener) &&
      napi_create_reference(env, arguments[3], 1, &listener->heard) == napi_ok &&
      napi_add_async_cleanup_hook(
          env, [](napi_async_cleanup_hook_handle, void *open) { shut(static_cast<Listener *>(open)); }, listener,
          &listener->hook) == napi_ok;
  status = made ? uv_poll_start(poll, UV_READABLE, readable) : -ENOMEM;
  if (status == 0) return object;
  shut(listener);
  return fail(env, uv_err_name(status), "cannot watch the socket");
}

}  // namespace

namespace postern {

bool export_acceptor(napi_env env, napi_value exports) {
  napi_value function;
  return napi_create_function(env, "listen", NAPI_AUTO_LENGTH, listen, nullptr, &function) == napi_ok &&
         napi_set_named_property(env, exports, "listen", function) == napi_ok;
}

}  // namespace postern
