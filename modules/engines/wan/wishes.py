#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Texts that the page offers. As the model's makers advise, each says in whole sentences what moves and how; the model was
taught in both languages, so readers are offered what they can read and change.

Libraries: none.
"""

#: name (``page.wish_NAME`` in the locale files) → language → text for ``prompt``
WISHES = {
    'wind': {
        'en': 'A gentle breeze blows, and leaves, grass and branches sway softly in it.',
        'zh': '微风轻轻拂过，树叶、花草和枝条随风轻轻摇曳。'
    },
    'hair': {
        'en': 'Strands of hair and the hems of clothes flutter lightly.',
        'zh': '发丝和衣角轻轻飘动。'
    },
    'smile': {
        'en': 'The person slowly breaks into a warm, natural smile that reaches the eyes.',
        'zh': '人物慢慢露出自然温暖的微笑，眼里也带着笑意。'
    },
    'look': {
        'en': 'The person slowly turns toward us, looks into the camera and blinks naturally.',
        'zh': '人物缓缓转过脸来，看向镜头，自然地眨眼。'
    },
    'waves': {
        'en': 'Waves roll in slowly, and light glitters on ripples that spread across the water.',
        'zh': '波浪缓缓涌来，水面泛起涟漪，波光粼粼。'
    },
    'clouds': {
        'en': 'Clouds drift slowly across the sky, and light and shadow glide over the land.',
        'zh': '云朵在天空中缓缓飘过，光影随之在大地上移动。'
    },
    'snow': {
        'en': 'Snow falls quietly, large flakes close to the camera and fine ones far away.',
        'zh': '雪静静落下，近处雪花大片飘落，远处细密纷飞。'
    },
    'candle': {
        'en': 'The flames flicker, and their warm light dances gently over everything around.',
        'zh': '烛火轻轻跳动，温暖的光在四周摇曳。'
    },
    'push-in': {
        'en': 'The camera pushes in toward the subject in one slow, smooth move.',
        'zh': '镜头平稳而缓慢地向主体推近。'
    },
    'still': {
        'en': 'Static camera: the shot is locked off, and the framing does not change.',
        'zh': '固定镜头，镜头不移动，构图保持不变。'
    }
}
