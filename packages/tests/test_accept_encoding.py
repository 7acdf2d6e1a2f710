import pytest

from packages.accept_encoding import accepts_gzip


@pytest.mark.parametrize(
    "header",
    [
        *("gzip", "GZIP", "x-gzip", "*", "br, gzip", "gzip, deflate, br, zstd", "gzip;q=0.001"),
        *("br;q=1.0 , gzip ; q=0.5", "identity;q=0, *", "*;q=0, gzip"),
    ],
)
def test_who_takes_gzip_gets_it(header):
    assert accepts_gzip(header)


@pytest.mark.parametrize(
    "header",
    [
        *("", "identity", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip;q=0", "*;q=0", "gzip;q=0, *"),
        *("gzip;q=x", "gzipped", "a" * 300 + ", gzip"),
    ],
)
def test_who_does_not_gets_it_plain(header):
    assert not accepts_gzip(header)
