"""HTTP servers that take PUT with conditions (RFC 9110), WebDAV among them."""
