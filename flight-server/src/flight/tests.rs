//! A served database and a Flight SQL client over a real socket.
