"""What a gateway does to streams: a recording behind it, an accurate client before it, one clock for both."""
