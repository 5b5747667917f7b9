// Sockets that listen, and descriptors of who connected: acceptor.cc.
#pragma once
#include <node_api.h>

namespace postern {

// Adds `listen` to `exports`; false where Node-API refuses.
bool export_acceptor(napi_env env, napi_value exports);

}  // namespace postern
