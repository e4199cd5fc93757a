"""Reading what cameras and people wrote into a picture file: EXIF, IPTC, XMP."""
