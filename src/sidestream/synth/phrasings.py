"""The words of each style: what instructions are made of, and whole prompts that are kept back to measure with."""

from __future__ import annotations

from dataclasses import dataclass


def table(text: str) -> tuple[str, ...]:
    return tuple(" ".join(entry.split()) for entry in text.split("|"))


@dataclass(frozen=True)
class Phrasing:
    """The words for one style; `{it}` is what is restyled."""

    known: tuple[str, ...]
    """Whole prompts as our documents and the paper write them."""
    nouns: tuple[str, ...]
    """Such as `oil painting`: turn this into an oil painting."""
    states: tuple[str, ...]
    """Such as `look hand painted`: make this look hand painted."""
    orders: tuple[str, ...]
    """Such as `paint {it} in oil`: could you paint this in oil?"""
    looks: tuple[str, ...]
    """Such as `thick brush strokes`: an oil painting with thick brush strokes."""


PHRASINGS = {
    "oil": Phrasing(
        known=table("""oil painting | an oil painting | turn this into an oil painting
            | transfer this to oil painting style, vibrant colors"""),
        nouns=table("""oil painting | oil painting | oil painting on canvas | classical oil painting
            | impasto painting | impasto oil painting | oil paint picture | old oil painting | oil on canvas painting"""),
        states=table("""look painted in oil | look like oil paint | look hand painted in oils | oil painted
            | painted in oil on canvas | look like oil on canvas | covered in thick oil paint"""),
        orders=table("""paint {it} in oil | paint {it} with oil paint | repaint {it} in oils | paint {it} on canvas
            | cover {it} in thick oil paint | paint over {it} in oils | repaint {it} with thick brush strokes | use oil paint on {it}"""),
        looks=table("""vibrant colors | thick visible brush strokes | visible brushstrokes | thick paint | rich colors
            | oil paint texture | canvas texture | impasto texture | bold brush strokes | heavy brushwork | broad oily strokes"""),
    ),
    "watercolor": Phrasing(
        known=table("""watercolor | a watercolor | turn this into a watercolor | watercolor painting, soft edges
            | turn this into a watercolor painting | transfer this to watercolor painting style, soft edges"""),
        nouns=table("""watercolor painting | watercolor painting | watercolor | water color painting | aquarelle
            | watercolor picture | soft watercolor | watercolor wash | watercolor illustration | painting in watercolors"""),
        states=table("""look like watercolor | look painted in watercolor | watercolor painted | look like an aquarelle
            | painted with watercolors on paper | look painted with water"""),
        orders=table("""paint {it} in watercolor | paint {it} with watercolors | repaint {it} in watercolor
            | paint {it} with soft washes on paper | let the colors of {it} bleed on wet paper | use watercolors on {it}"""),
        looks=table("""soft edges | soft washes | pale washes of color | bleeding colors | wet paper | light paper texture
            | pastel colors | soft pale colors | wet edges | transparent washes | gentle washes of pigment"""),
    ),
    "pencil": Phrasing(
        known=table("""pencil sketch | a pencil sketch | turn this into a pencil sketch | a pencil drawing
            | pencil sketch, fine line work | transfer this to pencil sketch style, fine line work"""),
        nouns=table("""pencil sketch | pencil sketch | pencil drawing | sketch | graphite drawing | graphite sketch
            | hand drawn sketch | hand drawn pencil sketch | drawing in pencil | line drawing in pencil | pencil line drawing"""),
        states=table("""look like pencil | look hand drawn | look drawn in pencil | sketched | look sketched with a pencil
            | drawn with a pencil on white paper | look like graphite on paper"""),
        orders=table("""sketch {it} | sketch {it} with a pencil | draw {it} with a pencil | draw {it} in pencil
            | draw {it} by hand on paper | draw {it} in graphite | trace the outlines of {it} with a pencil"""),
        looks=table("""fine line work | fine lines | pencil lines | graphite shading | hatching | cross hatching
            | light pencil strokes | white paper | gray pencil strokes on white paper | pencil shading | thin gray lines"""),
    ),
    "anime": Phrasing(
        known=table("""anime | anime style | turn this into anime | anime cel shading, clean bold outlines
            | transfer this to anime art style, clean cel shading"""),
        nouns=table("""anime | anime | anime art | anime cartoon | Japanese anime | anime drawing | anime scene | manga anime
            | cel shaded anime | Japanese cartoon | cel shaded cartoon | anime movie | anime film | anime illustration"""),
        states=table("""look like anime | cel shaded | look cel shaded | look like Japanese animation | anime styled
            | drawn like an anime | animated | animated in the Japanese style | look like an anime cartoon"""),
        orders=table("""draw {it} like an anime | animate {it} like a Japanese cartoon | draw {it} with cel shading
            | cel shade {it} | anime-fy {it} | put {it} into an anime | redraw {it} with clean outlines and flat colors"""),
        looks=table("""clean cel shading | clean bold outlines | bold outlines | flat colors | cel shading | clean lines
            | bright flat colors | dark outlines | clean line art | simple flat shading | flat bright anime colors"""),
    ),
    "render3d": Phrasing(
        known=table("""3D render | a 3D render | turn this into a 3D render | 3D render, ray-traced lighting
            | transfer this to 3D render style, ray-traced lighting"""),
        nouns=table("""3D render | 3D render | 3D rendering | 3D animation | CGI render | computer graphics render | 3D model
            | 3D cartoon | 3D scene | CGI animation | plastic 3D render | computer generated 3D scene | ray-traced render"""),
        states=table("""look 3D | look like 3D | look like CGI | 3D rendered | look computer generated | look ray-traced
            | look like smooth plastic | look like a computer game in 3D"""),
        orders=table("""render {it} in 3D | render {it} as CGI | render {it} with ray tracing | model {it} in 3D
            | ray trace {it} | build {it} as a 3D model | light {it} like a 3D render"""),
        looks=table("""ray-traced lighting | ray tracing | smooth shading | glossy surfaces | plastic materials
            | smooth plastic surfaces | soft 3D lighting | shiny highlights | global illumination | computer graphics"""),
    ),
    "identity": Phrasing(
        known=table("no change | keep this as it is | do nothing | the original video"),
        nouns=table(
            "unchanged version | original picture | original | unchanged picture | unedited original | exact copy"
        ),
        states=table("""stay the same | stay as it is | stay unchanged | look the same as before | remain unchanged
            | stay exactly the same | look exactly like the original"""),
        orders=table("""keep {it} as it is | leave {it} as it is | leave {it} unchanged | do not change {it} | keep {it} the same
            | don't change {it} | don't edit {it} | keep {it} unedited | leave {it} alone | do not touch {it} | change nothing
            | show {it} without any effect | reproduce {it} exactly | copy {it} exactly | return {it} without changes
            | do nothing | don't do anything to {it} | dont change {it}
            | do not restyle {it} | don't change anything in {it} | keep everything in {it} as it is | keep the original look of {it}"""),
        looks=table("""no changes | no effect | no style | no filter | no edits | original colors | everything as before
            | nothing changed | everything unchanged | same colors | no change at all"""),
    ),
    "night": Phrasing(
        known=table(
            "night | make it night | turn day into night | at night | turn this into night"
        ),
        nouns=table("""night scene | night scene | night | night shot | dark night | moonlit night | nighttime scene
            | moonlit scene | midnight scene"""),
        states=table("""night | nighttime | look like night | look like nighttime | look moonlit | look like midnight
            | take place at night | dark as night | happen after dark | look like it was filmed at night"""),
        orders=table("""change the time of day in {it} to night | turn day into night in {it} | set {it} at night
            | move {it} to the night | show {it} at night | show {it} under the moon | light {it} by the moon | switch {it} to nighttime
            | change day to night | show {it} in the dark of the night"""),
        looks=table("""moonlight | dark blue sky | dark sky | night sky | deep blue shadows | blue moonlight | darkness
            | city lights at night | light of the moon | night lighting | dark moonlit shadows"""),
    ),
    "sunset": Phrasing(
        known=table("sunset | make it sunset | at sunset | turn this into a sunset | golden hour"),
        nouns=table("""sunset | sunset | sunset scene | golden hour scene | golden sunset | evening scene | sunset shot
            | orange sunset | scene at dusk"""),
        states=table("""sunset | golden hour | look like sunset | look like golden hour | take place at sunset
            | look like the sun is setting | lit by the setting sun | look like evening | look like it was filmed at golden hour"""),
        orders=table("""change the time of day in {it} to sunset | set {it} at sunset | show {it} at sunset | show {it} at golden hour
            | light {it} by the setting sun | let the sun set in {it} | move {it} to the evening | change the sky in {it} to a sunset
            | bathe {it} in sunset light | switch {it} to golden hour"""),
        looks=table("""golden light | golden hour light | orange sky | pink and orange sky | setting sun | sunset light
            | sunset sky | low evening sun | evening light | purple shadows | glowing orange sky | sunset glow"""),
    ),
    "monochrome": Phrasing(
        known=table(
            "black and white | make it black and white | grayscale | monochrome | turn this black and white"
        ),
        nouns=table("""black and white picture | black and white film | monochrome picture | grayscale picture
            | black and white movie | black and white photograph | grayscale version | monochrome version | old black and white film"""),
        states=table("""black and white | monochrome | grayscale | gray | colorless | desaturated | fully desaturated
            | look black and white | look like a black and white film | b&w"""),
        orders=table("""remove the color from {it} | remove all color from {it} | take the color out of {it} | take away the color of {it} | take all colors away from {it} | desaturate {it}
            | convert {it} to grayscale | drop the colors of {it} | turn {it} to shades of gray | show {it} without color
            | convert {it} to black and white | strip {it} of color | get rid of the color in {it}"""),
        looks=table("""no color | no colors | shades of gray | only gray tones | zero saturation | only black and white
            | gray tones | not any color | all color removed"""),
    ),
    "warm": Phrasing(
        known=table("warm | make it warm | warmer colors | warm tones | warm color grade"),
        nouns=table("""warm color grade | warm tone | warm look | warm filter | warm color filter | warmer color grade
            | warm color temperature | warm white balance | amber tint | warm tint"""),
        states=table("""warm | warmer | look warm | look warmer | feel warm | warm in tone | more amber | feel warm and cozy
            | a bit warmer | more yellow and red"""),
        orders=table("""warm up {it} | warm up the colors of {it} | raise the color temperature of {it} | add warmth to {it}
            | shift the colors of {it} to warm tones | grade {it} warm | tint {it} amber | add a warm filter to {it}
            | make the colors of {it} warmer | give {it} warm tones | make the white balance of {it} warmer"""),
        looks=table("""warm tones | warm colors | amber tones | warm cozy colors | warm white balance | warmth | warmer tones
            | yellow and red tones | high color temperature | warm tint"""),
    ),
    "cold": Phrasing(
        known=table("cold | make it cold | cooler colors | cold tones | cold color grade"),
        nouns=table("""cold color grade | cold tone | cold look | cold filter | cool color filter | cooler color grade
            | cold color temperature | cold white balance | blue tint | cool tint | icy look"""),
        states=table("""cold | colder | cooler | look cold | look colder | feel cold | cool in tone | more blue | feel icy
            | a bit cooler | feel cold and icy"""),
        orders=table("""cool down {it} | cool down the colors of {it} | lower the color temperature of {it} | add coldness to {it}
            | shift the colors of {it} to cold tones | grade {it} cold | tint {it} blue | add a cold filter to {it}
            | make the colors of {it} colder | give {it} cool tones | make the white balance of {it} cooler"""),
        looks=table("""cold tones | cool colors | blue tones | icy cold colors | cold white balance | coldness | cooler tones
            | icy blue tones | low color temperature | cold tint | wintry blue tones"""),
    ),
    "invert": Phrasing(
        known=table("invert | invert the colors | negative | inverted colors | make it negative"),
        nouns=table("""negative | color negative | photo negative | film negative | inverted picture | negative image
            | inverted version | color inverted picture"""),
        states=table("""inverted | negative | look inverted | color inverted | look like a negative | look like a film negative
            | fully inverted"""),
        orders=table("""invert {it} | invert the colors of {it} | invert all colors in {it} | reverse the colors of {it}
            | flip the colors of {it} | swap light and dark in {it} | negate {it} | swap every color in {it} for its opposite
            | turn the colors of {it} into their opposites | make the colors of {it} negative | apply color inversion to {it}"""),
        looks=table("""inverted colors | reversed colors | opposite colors | negative colors | color inversion | flipped colors
            | light and dark swapped | all colors inverted | dark for light and light for dark"""),
    ),
}

HELD_OUT = {
    "oil": table("""can you repaint the whole scene as a classical painting in oils? | oil paint, canvas, broad strokes
        | i'd like my video hand painted on canvas with rich thick oil colors | make everything look like it was painted with oil paint
        | a canvas covered in thick vibrant paint strokes | OIL PAINT STYLE please | old painting in oil with visible brushwork
        | brush strokes and thick impasto paint everywhere | redraw this with oil paint and a broad brush
        | the footage should look like a real oil painting | oil paintng look, rich colours | paint over the video in thick rich oils
        | picture painted on canvas with heavy strokes of oil | show me an oil painted version"""),
    "watercolor": table("""could you redo the scene in watercolours with soft wet edges? | washes of watercolor on white paper
        | a soft picture painted with water and pigment | make the whole video a light aquarelle | paint it like a watercolor illustration
        | pale bleeding washes, paper texture | watercolour look with gentle transparent colours | WATERCOLOR ON WET PAPER
        | everything should be painted with watercolors | the look of wet watercolor paper with soft colors
        | show this painted in pale watercolor washes | watercolr style, pastel
        | i want my footage to look like a watercolor on paper | soft aquarelle washes for the picture"""),
    "pencil": table("""can you draw the whole clip by hand with a pencil? | graphite on white paper with hatching
        | make my footage a sketch in fine gray lines | hand drawn with pencil, light shading | just pencil lines on paper
        | i'd like the video to look sketched by hand | a drawing by hand with a graphite pencil | SKETCH STYLE, GRAPHITE
        | outlines and hatching drawn in pencil | show me this as a drawing on white paper | pencl sketch with fine shading
        | the picture should look like a pencil drawing on paper | redraw everything as thin pencil strokes
        | sketched pencil look, gray on white"""),
    "anime": table("""could you redraw my video as a Japanese cartoon? | flat colors with bold clean outlines like anime
        | make the scene look like it is from an anime movie | Japanese animation, cel shaded | ANIME LOOK!!
        | i want this drawn as an anime film with clean line art | a cartoon with flat shading and dark outlines
        | everything should look like a cel shaded anime | an illustration in the anime style with bright colors
        | show the footage as Japanese anime art | anmie style, bold lines | turn my footage into a Japanese drawing, cel shading
        | make a manga style anime out of the clip | animated like a Japanese film, simple flat colors"""),
    "render3d": table("""could you make the whole scene a computer generated 3d animation? | CGI style with ray-traced light
        | i want my video to look like a 3D game | glossy plastic look in 3D | make everything look like smooth computer graphics
        | a 3d model of the scene with soft lighting | ray tracing and shiny plastic surfaces everywhere | 3D CARTOON LOOK
        | show the footage as a CGI movie | rendering in 3D with global illumination | like it was rendered by a computer in 3d
        | 3d rendr, glossy | computer graphics style, smooth shading | redo the picture as a shiny 3D model"""),
    "identity": table("""just show me the original footage | please don't do anything to the colors of the video | leave everything the same as before
        | make no changes at all | no style, no filter, keep it original | the video should stay exactly as it is
        | i want the picture exactly unchanged | same as the original, no edits | leave my clip alone, no effect
        | return the original without any changes | KEEP THE ORIGINAL COLORS AND LOOK | dont edit the picture, no change | do not apply any style to this
        | copy the scene as it is, nothing changed"""),
    "night": table("""could you make the scene look like it is midnight? | it should be night in the video
        | i'd like to see this in the moonlight | set the time of day to night, dark sky | show how it would look after dark
        | moonlit darkness with deep blue shadows | NIGHT TIME | make it a dark night under the moon
        | turn the day into dark night | change everything to a nighttime shot | filmed at midnight under a dark sky
        | nigth scene, moonlight | the whole clip should take place at night | put the scene in the dark of night"""),
    "sunset": table("""could you change the light to golden hour? | it should be sunset in the video
        | i'd like the scene lit by a low orange sun | an orange evening sky with golden light | make the sky look like a sunset
        | show how it would look at dusk | SUNSET LIGHT, PURPLE SKY | evening light, the sun is setting | turn the day into a golden evening
        | give the footage a sunset glow | filmed at sunset under a pink sky | sunst, orange sky
        | the whole clip should take place at golden hour | set the time of day to sunset"""),
    "monochrome": table("""could you take away all the colors? | i'd like my video in black and white and shades of gray | an old movie without color
        | only shades of gray, not colors | the footage should have no color | desaturate everything fully | GREYSCALE ONLY
        | show my clip as a monochrome film | remove every color, keep gray tones | gray picture with zero saturation
        | black & white, like an old photo | blak and white film | make the colors of the scene gray
        | only black, white and gray"""),
    "warm": table("""could you make the colors feel warmer? | i'd like warmer amber tones in the video | a warm and cozy look
        | raise the warmth of the picture | the footage should look warm, more yellow and red | amber color grade, warm white balance
        | WARM COLORS AND COZY LIGHT | shift the white balance to warm | give the whole scene an amber tone | add a warm tint to everything
        | warmer and more cosy please | wram amber tones for my video | grade my clip with warm colours | make the tones of the scene more amber"""),
    "cold": table("""could you make the colors feel colder? | i'd like cooler blue tones in the video | a cold and wintry look
        | lower the temperature of the colors | the footage should look cold, more blue | blue color grade, cool white balance
        | COOL COLORS AND ICY LIGHT | shift the white balance to cold | give the whole scene an icy blue tone | add a cool tint to everything
        | colder and more blue please | cld blue tones for my video | grade my clip with cool colours | make the tones of the scene icy"""),
    "invert": table("""could you swap all the colors for the opposite colors? | i'd like to see the colors of the video as a negative | like the negative of a film
        | make dark light and light dark | the footage should have inverted colors | reverse every color in the picture
        | INVERT EVERYTHING, LIGHT AND DARK | show my clip as a photo negative | opposite colors in the whole clip, light for dark | a negative with reversed colours
        | flip light and dark | invertd picture with opposite colors | apply an inversion effect to the scene | color negative look, everything reversed"""),
    "van_gogh": table("""transfer this to van gogh impressionist style, swirling brushstrokes | in the style of van Gogh, swirling brush strokes
        | a van Gogh painting | starry night by van gogh | swirling impressionist strokes of thick paint"""),
    "ukiyo_e": table("""transfer this to ukiyo-e woodblock print style, flat colors, line art | ukiyo-e woodblock print
        | a Japanese woodblock print | old Japanese print with flat colors | turn this into ukiyo-e"""),
    "comic": table("""transfer this to comic book style, halftone shading, bold outlines | comic book halftone
        | a page of a comic book | comic style with bold outlines and halftone dots | make it look like a comic"""),
}  # fmt: skip
