//! What operators see: metrics, health endpoints and the JSON API on a Unix socket.
