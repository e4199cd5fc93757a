"""How Exiv2 names a tag, and the name that users of ExifTool know it by.

Most names are the same in both programs, so only those that differ are listed: a key that is not
here keeps Exiv2's own tag name. Exiv2 names follow the specifications (Exif 3.0, IPTC IIM 4.2,
XMP part 2); ExifTool's are the ones most people have met.
"""

from __future__ import annotations

import re
from functools import lru_cache

EXIF_NAMES: dict[str, str] = {
    "Exif.Image.NewSubfileType": "SubfileType",
    "Exif.Image.SubfileType": "OldSubfileType",
    "Exif.Image.ImageLength": "ImageHeight",
    "Exif.Image.DateTime": "ModifyDate",
    "Exif.Image.NumberOfInks": "NumberofInks",
    "Exif.Image.JPEGInterchangeFormat": "ThumbnailOffset",
    "Exif.Image.JPEGInterchangeFormatLength": "ThumbnailLength",
    "Exif.Image.CFAPattern": "CFAPattern2",
    "Exif.Image.ISOSpeedRatings": "ISO",
    "Exif.Image.OECF": "Opto-ElectricConvFactor",
    "Exif.Image.ExposureBiasValue": "ExposureCompensation",
    "Exif.Image.SubjectLocation": "SubjectArea",
    "Exif.Image.TIFFEPStandardID": "TIFF-EPStandardID",
    "Exif.Image.PrintImageMatching": "PrintIM",
    "Exif.Image.LensInfo": "DNGLensInfo",
    "Exif.Image.DNGPrivateData": "DNGAdobeData",
    "Exif.Image.CameraCalibrationSignature": "CameraCalibrationSig",
    "Exif.Image.ProfileCalibrationSignature": "ProfileCalibrationSig",
    "Exif.Image.OriginalBestQualityFinalSize": "OriginalBestQualitySize",
    "Exif.Photo.ISOSpeedRatings": "ISO",
    "Exif.Photo.OECF": "Opto-ElectricConvFactor",
    "Exif.Photo.DateTimeDigitized": "CreateDate",
    "Exif.Photo.ExposureBiasValue": "ExposureCompensation",
    "Exif.Photo.Temperature": "AmbientTemperature",
    "Exif.Photo.PixelXDimension": "ExifImageWidth",
    "Exif.Photo.PixelYDimension": "ExifImageHeight",
    "Exif.Photo.FocalLengthIn35mmFilm": "FocalLengthIn35mmFormat",
    "Exif.Photo.CameraOwnerName": "OwnerName",
    "Exif.Photo.BodySerialNumber": "SerialNumber",
    "Exif.Photo.LensSpecification": "LensInfo",
    "Exif.Photo.SourceImageNumberOfCompositeImage": "CompositeImageCount",
    "Exif.Photo.SourceExposureTimesOfCompositeImage": "CompositeImageExposureTimes",
    "Exif.Iop.InteroperabilityIndex": "InteropIndex",
    "Exif.Iop.InteroperabilityVersion": "InteropVersion",
    "Exif.Iop.RelatedImageLength": "RelatedImageHeight",
    "Exif.Thumbnail.JPEGInterchangeFormat": "ThumbnailOffset",
    "Exif.Thumbnail.JPEGInterchangeFormatLength": "ThumbnailLength",
}

STRUCTURAL: frozenset[str] = frozenset(
    {
        "Exif.Image.ExifTag",
        "Exif.Image.GPSTag",
        "Exif.Image.SubIFDs",
        "Exif.Image.XMLPacket",
        "Exif.Image.IPTCNAA",
        "Exif.Image.ImageResources",
        "Exif.Image.InterColorProfile",
        "Exif.Photo.InteroperabilityTag",
        "Exif.Photo.MakerNote",
        "Exif.Image.DNGPrivateData",
        "Exif.MakerNote.Offset",
        "Exif.MakerNote.ByteOrder",
    }
)
"""Pointers and containers: their content appears under its own names, so they are kept raw only."""

STANDARD_IFDS: frozenset[str] = frozenset(
    {"Image", "Photo", "GPSInfo", "Iop", "Thumbnail", "Image2", "Image3"}
    | {f"SubImage{n}" for n in range(1, 10)}
    | {"SubThumb1", "MpfInfo"}
)
"""Groups of the Exif specification itself; every other Exiv2 group is a vendor's maker note."""

IPTC_NAMES: dict[str, str] = {
    "Iptc.Envelope.ModelVersion": "EnvelopeRecordVersion",
    "Iptc.Envelope.ServiceId": "ServiceIdentifier",
    "Iptc.Envelope.ProductId": "ProductID",
    "Iptc.Envelope.CharacterSet": "CodedCharacterSet",
    "Iptc.Envelope.UNO": "UniqueObjectName",
    "Iptc.Envelope.ARMId": "ARMIdentifier",
    "Iptc.Application2.RecordVersion": "ApplicationRecordVersion",
    "Iptc.Application2.ObjectType": "ObjectTypeReference",
    "Iptc.Application2.ObjectAttribute": "ObjectAttributeReference",
    "Iptc.Application2.Subject": "SubjectReference",
    "Iptc.Application2.SuppCategory": "SupplementalCategories",
    "Iptc.Application2.FixtureId": "FixtureIdentifier",
    "Iptc.Application2.LocationCode": "ContentLocationCode",
    "Iptc.Application2.LocationName": "ContentLocationName",
    "Iptc.Application2.DigitizationDate": "DigitalCreationDate",
    "Iptc.Application2.DigitizationTime": "DigitalCreationTime",
    "Iptc.Application2.Program": "OriginatingProgram",
    "Iptc.Application2.Byline": "By-line",
    "Iptc.Application2.BylineTitle": "By-lineTitle",
    "Iptc.Application2.SubLocation": "Sub-location",
    "Iptc.Application2.ProvinceState": "Province-State",
    "Iptc.Application2.CountryCode": "Country-PrimaryLocationCode",
    "Iptc.Application2.CountryName": "Country-PrimaryLocationName",
    "Iptc.Application2.TransmissionReference": "OriginalTransmissionReference",
    "Iptc.Application2.Copyright": "CopyrightNotice",
    "Iptc.Application2.Caption": "Caption-Abstract",
    "Iptc.Application2.Writer": "Writer-Editor",
    "Iptc.Application2.Language": "LanguageIdentifier",
    "Iptc.Application2.AudioRate": "AudioSamplingRate",
    "Iptc.Application2.AudioResolution": "AudioSamplingResolution",
    "Iptc.Application2.PreviewFormat": "ObjectPreviewFileFormat",
    "Iptc.Application2.PreviewVersion": "ObjectPreviewFileVersion",
    "Iptc.Application2.Preview": "ObjectPreviewData",
}

XMP_NAMES: dict[str, str] = {
    "MicrosoftPhoto.CreatorAppId": "CreatorAppID",
    "MicrosoftPhoto.Rating": "RatingPercent",
    "crs.Temperature": "ColorTemperature",
    "cc.legalcode": "LegalCode",
    "exif.ExposureBiasValue": "ExposureCompensation",
    "exif.FocalLengthIn35mmFilm": "FocalLengthIn35mmFormat",
    "exif.GPSTimeStamp": "GPSDateTime",
    "exif.ISOSpeedRatings": "ISO",
    "exif.OECF": "Opto-ElectricConvFactor",
    "exif.PixelXDimension": "ExifImageWidth",
    "exif.PixelYDimension": "ExifImageHeight",
    "exifEX.BodySerialNumber": "SerialNumber",
    "exifEX.CameraOwnerName": "OwnerName",
    "exifEX.InteroperabilityIndex": "InteropIndex",
    "exifEX.LensSpecification": "LensInfo",
    "exifEX.Temperature": "AmbientTemperature",
    "photoshop.ICCProfile": "ICCProfileName",
    "plus.Version": "PLUSVersion",
    "tiff.ImageLength": "ImageHeight",
    "iptc.CreatorContactInfoCiAdrCity": "CreatorCity",
    "iptc.CreatorContactInfoCiAdrCtry": "CreatorCountry",
    "iptc.CreatorContactInfoCiAdrExtadr": "CreatorAddress",
    "iptc.CreatorContactInfoCiAdrPcode": "CreatorPostalCode",
    "iptc.CreatorContactInfoCiAdrRegion": "CreatorRegion",
    "iptc.CreatorContactInfoCiEmailWork": "CreatorWorkEmail",
    "iptc.CreatorContactInfoCiTelWork": "CreatorWorkTelephone",
    "iptc.CreatorContactInfoCiUrlWork": "CreatorWorkURL",
    "iptcExt.AddlModelInfo": "AdditionalModelInformation",
    "iptcExt.CVterm": "ControlledVocabularyTerm",
    "iptcExt.DigImageGUID": "DigitalImageGUID",
    "iptcExt.DigitalSourcefileType": "DigitalSourceFileType",
    "iptcExt.EventId": "EventID",
    "iptcExt.IptcLastEdited": "IPTCLastEdited",
}

_INDEX = re.compile(r"\[\d+\]")


def exif_name(key: str) -> str:
    """ExifTool's name for an Exiv2 Exif key such as `Exif.Photo.DateTimeDigitized`."""
    known = EXIF_NAMES.get(key)
    return known if known is not None else key.rpartition(".")[2]


def iptc_name(key: str) -> str:
    """ExifTool's name for an Exiv2 IPTC key such as `Iptc.Application2.Byline`."""
    known = IPTC_NAMES.get(key)
    return known if known is not None else key.rpartition(".")[2]


@lru_cache(maxsize=8192)
def xmp_name(key: str) -> str:
    """ExifTool's name for an Exiv2 XMP key: local names joined, each with a capital, no indices.

    `Xmp.xmpMM.History[1]/stEvt:action` is `HistoryAction`.
    """
    _, prefix, path = key.split(".", 2)
    if "/" not in path and "[" not in path:
        joined = path
    else:
        locals_ = (part.rpartition(":")[2] for part in _INDEX.sub("", path).split("/"))
        joined = "".join(part[:1].upper() + part[1:] for part in locals_)
    known = XMP_NAMES.get(f"{prefix}.{joined}")
    return known if known is not None else joined[:1].upper() + joined[1:]
