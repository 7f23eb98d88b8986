#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
XMP packets, written as text: readers on phones look for these very prefixes, attributes and their order, which no
XML library keeps.

Libraries: none.
"""

#: https://cv.iptc.org/newscodes/digitalsourcetype/ — made by a model that was trained on captured media
GENERATED = 'trainedAlgorithmicMedia'
#: — captured media together with such made ones: the person's own photo with the motion a model gave it
COMPOSITE = 'compositeWithTrainedAlgorithmicMedia'

_SOURCE = (
    '      xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"\n'
    '      Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/{source}"')

_PACKET = '''<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
  <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description rdf:about=""
{attributes}{content}
  </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>'''

_MOTION = '''      xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"
      xmlns:Container="http://ns.google.com/photos/1.0/container/"
      xmlns:Item="http://ns.google.com/photos/1.0/container/item/"
      GCamera:MotionPhoto="1"
      GCamera:MotionPhotoVersion="1"
      GCamera:MotionPhotoPresentationTimestampUs="{microseconds}"'''

# what cameras of OPPO, OnePlus and realme write besides, and galleries of theirs look for
_OPLUS = '''      xmlns:OpCamera="http://ns.oplus.com/photos/1.0/camera/"
      OpCamera:MotionPhotoPrimaryPresentationTimestampUs="{microseconds}"
      OpCamera:MotionPhotoOwner="oplus"
      OpCamera:OLivePhotoVersion="2"
      OpCamera:VideoLength="{length}"'''

_DIRECTORY = '''>
      <Container:Directory>
        <rdf:Seq>
          <rdf:li rdf:parseType="Resource">
            <Container:Item Item:Mime="image/jpeg" Item:Semantic="Primary" Item:Length="0" Item:Padding="0"/>
          </rdf:li>
          <rdf:li rdf:parseType="Resource">
            <Container:Item Item:Mime="video/mp4" Item:Semantic="MotionPhoto" Item:Length="{length}" Item:Padding="0"/>
          </rdf:li>
        </rdf:Seq>
      </Container:Directory>
    </rdf:Description>'''


def make_source_packet(kind: str) -> bytes:
    """
    Make a packet that says where a picture comes from (IPTC Photo Metadata Standard, Digital Source Type).

    :param kind: :data:`GENERATED` or :data:`COMPOSITE`
    :type kind: str
    :return: the packet, UTF-8
    :rtype: bytes
    """
    return _PACKET.format(attributes = _SOURCE.format(source = kind), content = '/>').encode()


def make_motion_packet(length: int, microseconds: int, kind: str | None = None) -> bytes:
    """
    Make the packet of a Motion Photo (Google's Motion Photo format 1.0), and what OPPO's galleries look for.

    :param length: bytes of the MP4 that ends the file
    :type length: int
    :param microseconds: when in the clip the still is shown
    :type microseconds: int
    :param kind: where the picture comes from, as in :func:`make_source_packet`; None to leave it out
    :type kind: str | None
    :return: the packet, UTF-8
    :rtype: bytes
    """
    attributes = '\n'.join((_MOTION, _OPLUS)).format(microseconds = microseconds, length = length)
    if kind:
        attributes += '\n' + _SOURCE.format(source = kind)
    return _PACKET.format(
        attributes = attributes, content = _DIRECTORY.format(length = length)).encode()
