"""The demo's flights and servers; tests start the same servers."""
