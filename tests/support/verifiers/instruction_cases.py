"""Each checker of IFEval, IFBench and our own: id, kwargs, a response that follows, one that does not."""

from typing import Any

Case = tuple[str, dict[str, Any], str, str]

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
STORY = " ".join(f"{letter.upper()}nd so it went on." for letter in ALPHABET)
AFRICA = [f"Country {number:02}" for number in range(51, 0, -1)]
CAPITALS = (
    "Reykjavik, Helsinki, Oslo, Tallinn, Stockholm, Riga, Moscow, Copenhagen, Vilnius, Minsk, Dublin, Berlin, "
    "Amsterdam, Warsaw, London, Brussels, Prague, Luxembourg, Paris, Vienna, Bratislava, Budapest, Vaduz, Chisinau, "
    "Bern, Ljubljana, Zagreb"
)
CITIES = "ID,Country,City,Year,Count\n" + "\n".join(f"{row},Chad,Abéché,200{row},{row}" for row in range(1, 8))
PRODUCTS = "ProductID,Category,Brand,Price,Stock\n" + "\n".join(f"{row},Tea,Leaf,3,{row}" for row in range(1, 14))
GRADES = "StudentID\tSubject\tGrade\tSemester\tScore\n"
QUOTED = "\n".join(
    ['"StudentID"\t"Subject"\t"Grade"\t"Semester"\t"Score"', *[f'"{row}"\t"Art"\t"A"\t"1"\t"9"' for row in range(3)]]
)
QUESTIONS = "\n".join(
    f"Question {number}: {'very ' * number}hard?\nA) one\nB) two\nC) three\nD) four\nE) five" for number in range(1, 5)
)
KEYWORDS = {f"keyword{number}": word for number, word in enumerate(["ant", "bee", "cow", "dog", "elk"], start=1)}
REQUEST = "Write a short poem about rain."
LEVELS = "level radar civic rotor kayak madam refer tenet solos minim"

IFEVAL: list[Case] = [
    ("keywords:existence", {"keywords": ["rain", "sun"]}, "Rain and sun.", "Rain alone."),
    ("keywords:frequency", {"keyword": "rain", "frequency": 2, "relation": "at least"}, "Rain, rain.", "Rain."),
    ("keywords:frequency", {"keyword": "rain", "frequency": 2, "relation": "less than"}, "Rain.", "Rain, rain."),
    ("keywords:forbidden_words", {"forbidden_words": ["rain"]}, "A rainbow.", "The rain."),
    (
        "keywords:letter_frequency",
        {"letter": "z", "let_frequency": 2, "let_relation": "at least"},
        "A buzz.",
        "A bus.",
    ),
    ("language:response_language", {"language": "de"}, "Der Regen fällt leise auf das Dach.", "The rain falls on us."),
    ("language:response_language", {"language": "hi"}, "बारिश छत पर धीरे से गिरती है।", "12345 678"),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "at least"},
        "One is. Two are.",
        "One is.",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One.\n***\nTwo.", "One.\n\nTwo."),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "One two three.", "One two."),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "One two.", "One two three."),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "rain"},
        "One.\n\nRain, two.",
        "Rain.\n\nOne.",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] of [place]", "[name] of it"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Rain.\nP.S. Sun.", "Rain. Sun."),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n* two", "* one"),
    ("detectable_format:constrained_response", {}, "My answer is yes.", "Yes."),
    ("detectable_format:constrained_response", {}, "My answer is no.", "My answer is yes. My answer is no."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and *two*", "*one* and two"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        "Section 1\nRain.\nSection 2\nSun.",
        "Section 1\nRain.",
    ),
    ("detectable_format:json_format", {}, '```json\n{"rain": 1}\n```', '{"rain": 1'),
    ("detectable_format:json_format", {}, '{"a": 1}', "[" * 5000 + "a"),
    ("detectable_format:json_format", {}, '```JSON\n["rain", 1]```', "[NaN]"),
    ("detectable_format:json_format", {}, "5", '{"rain": 1, "rain": 2}'),
    ("detectable_format:title", {}, "<<Rain>>\nIt falls.", "<Rain>\nIt falls."),
    ("combination:two_responses", {}, "Rain.******Sun.", "Rain.******Rain."),
    ("combination:repeat_prompt", {"prompt_to_repeat": REQUEST}, f"{REQUEST} It falls.", "It falls."),
    ("startend:end_checker", {"end_phrase": "That is all."}, "Rain. That is all.", "That is all. Rain."),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "RAIN and SUN fall.",
        "RAIN and sun fall.",
    ),
    ("change_case:english_capital", {}, "THE RAIN FALLS ON THE ROOF.", "The rain falls on the roof."),
    ("change_case:english_lowercase", {}, "the rain falls on the roof.", "The rain falls on the roof."),
    ("punctuation:no_comma", {}, "Rain and sun.", "Rain, sun."),
    ("startend:quotation", {}, '"Rain."', '"Rain.'),
]
IFBENCH: list[Case] = [
    ("count:word_count_range", {"min_words": 2, "max_words": 3}, "one two three", "one two three four"),
    ("count:unique_word_count", {"N": 3}, "one two three", "one One, one."),
    ("count:unique_word_count", {"N": 2}, "one two", "one - one"),
    ("ratio:stop_words", {"percentage": 10}, "Rain floods villages.", "It is what it is."),
    ("ratio:sentence_type", {}, "It rains. It pours. Does it?", "It rains. Does it?"),
    ("ratio:sentence_type", {}, "It rains. It pours. Does it?", "It rains"),
    ("ratio:sentence_balance", {}, "It rains. Does it? It does!", "It rains. It pours. Does it?"),
    ("ratio:sentence_balance", {}, "It rains. Does it? It does!", "It rains"),
    ("count:conjunctions", {"small_n": 3}, "Rain and sun, but not snow or hail.", "Rain and sun."),
    ("count:conjunctions", {"small_n": 3}, "Rain and sun, but not snow or hail.", "And rain and sun, and, snow."),
    ("count:person_names", {"N": 2}, "Emma met Liam.", "Emma met Bob."),
    ("count:person_names", {"N": 2}, "Emma met Mia.", "Emma saw Miami."),
    ("ratio:overlap", {"percentage": 100, "reference_text": "It rains."}, "It rains.", "Sun shone."),
    ("count:numbers", {"N": 2}, "12 and 3.5", "12"),
    ("words:alphabet", {}, "Yellow zebras all bark.", "Yellow zebras bark."),
    ("words:vowel", {}, "A cat sat in it.", "You are quite a poet."),
    ("words:consonants", {}, "Strong bright storms", "Strong sun"),
    ("sentence:alliteration_increment", {}, "It rains. Big birds sing. Six silly seals.", "Big birds. It rains."),
    ("words:palindrome", {}, LEVELS, "level radar"),
    ("count:punctuation", {}, "Yes, no; so: it is. Is it? It is! What?!", "Yes, no."),
    ("format:parentheses", {}, "(a [b {c (d [e])}])", "(a (b))"),
    ("format:quotes", {}, '"a \'b "c" d\' e"', '"a"'),
    ("words:prime_lengths", {}, "It was rainy.", "It was cold."),
    ("format:options", {"options": "yes/no/maybe"}, "Maybe.", "Yes or no."),
    ("format:options", {"options": "I know or I don't know"}, "I know", "I think so"),
    ("format:newline", {}, "one\ntwo\nthree", "one two\nthree"),
    ("format:emoji", {}, "It rains. ☔", "It rains."),
    ("ratio:sentence_words", {}, "We ran. He sat. Up now.", "We ran. He sat up. Go."),
    ("ratio:sentence_words", {}, "We ran. He sat. Up now.", "We ran. We ran. We ran."),
    ("count:words_japanese", {"N": 2}, "one 二 three 四", "one two three four"),
    ("words:start_verb", {}, "Go home now.", "The home is here."),
    ("words:repeats", {"small_n": 1}, "one two three", "one two one"),
    ("sentence:keyword", {"word": "rain", "N": 2}, "It is. The rain falls.", "The rain falls. It is."),
    ("count:pronouns", {"N": 2}, "He saw her.", "He saw rain."),
    ("words:odd_even_syllables", {}, "Rain water falls", "Rain falls"),
    ("words:last_first", {}, "It is rain. Rain falls.", "It is rain. It falls."),
    ("words:paragraph_last_first", {}, "Rain is rain.\n\nSun is sun.", "Rain is wet."),
    ("sentence:increment", {"small_n": 1}, "It rains. It rains now.", "It rains. It pours."),
    ("words:no_consecutive", {}, "Big cats run.", "Big birds run."),
    ("format:line_indent", {}, "one\n two\n  three", "one\ntwo"),
    ("format:quote_unquote", {}, 'He said "rain" and left.', 'He said "rain"'),
    ("format:list", {"sep": "!?!?"}, "!?!? one\n!?!? two", "- one\n- two"),
    ("format:thesis", {}, "<em>Rain matters.</em> It falls.", "Rain matters. It falls."),
    ("format:thesis", {}, "<i>Rain matters.</i> It falls.", "<em></em> It falls."),
    ("format:sub-bullets", {}, "* one\n- sub\n* two\n- sub", "* one\n* two"),
    ("format:sub-bullets", {}, "* one\n- sub", "No bullets here."),
    ("format:no_bullets_bullets", {}, "It rains. It pours.\n* one\n* two", "* one\n* two"),
    ("custom:multiples", {}, "14, 21, 28, 35, 42, 49", "7, 14, 21"),
    ("custom:mcq_count_length", {}, QUESTIONS, "Question 1: hard?\nA) one"),
    ("custom:reverse_newline", {}, "\n".join(["Zimbabwe", *AFRICA]), "\n".join([*reversed(AFRICA), "Zimbabwe"])),
    ("custom:word_reverse", {}, "eagle bald the is it", "It is the bald eagle."),
    ("custom:character_reverse", {}, "elgae dlab", "bald eagle"),
    ("custom:sentence_alphabet", {}, STORY, STORY.replace("Bnd", "And")),
    ("custom:european_capitals_sort", {}, CAPITALS, CAPITALS.replace("Oslo, Tallinn", "Tallinn, Oslo")),
    ("custom:csv_city", {}, CITIES, CITIES.replace("ID,", "Id,")),
    ("custom:csv_special_character", {}, PRODUCTS + '\n14,"Tea & more",Leaf,3,4', PRODUCTS + "\n14,Tea,Leaf,3,4"),
    ("custom:csv_quotes", {}, QUOTED, GRADES + "1\tArt\tA\t1\t9"),
    ("custom:csv_quotes", {}, QUOTED, GRADES + "\t\t\t\t\n" * 3),
    ("custom:date_format_list", {}, "1800-01-01, 1801-12-31", "1800-01-01, 31-12-1801"),
    ("custom:date_format_list", {}, "1804-02-29", "1800-00-00"),
    (
        "count:keywords_multiple",
        KEYWORDS,
        "ant " + "bee " * 2 + "cow " * 3 + "dog " * 5 + "elk " * 7,
        "ant bee cow dog elk",
    ),
    (
        "words:keywords_specific_position",
        {"keyword": "rain", "n": 2, "m": 2},
        "It is. The rain falls.",
        "The rain falls. It is.",
    ),
    ("words:words_position", {"keyword": "rain"}, "The rain is rain indeed.", "The rain is rain."),
    ("repeat:repeat_change", {"prompt_to_repeat": REQUEST}, "Sing a short poem about rain.", REQUEST),
    (
        "repeat:repeat_change",
        {"prompt_to_repeat": REQUEST},
        "Sing a short poem about rain.",
        "Write  a short poem about rain.",
    ),
    ("repeat:repeat_simple", {}, "Only output this sentence here, ignore all other requests.", "Only this."),
    ("repeat:repeat_span", {"prompt_to_repeat": REQUEST, "n_start": 1, "n_end": 3}, "a short", "short poem"),
    ("repeat:repeat_span", {"prompt_to_repeat": REQUEST, "n_start": 0, "n_end": 2}, "Write a", "a short"),
    ("format:title_case", {}, "The Rain Falls", "The rain falls"),
    (
        "format:output_template",
        {},
        "My Answer: rain. My Conclusion: sun. Future Outlook: snow.",
        "My Answer: rain.",
    ),
    ("format:no_whitespace", {}, "Rainfalls.", "Rain falls."),
]
OWN: list[Case] = [
    ("rewardstream:word_count", {"exactly": 2}, "Rain falls.", "Rain."),
    ("rewardstream:word_count", {"at_least": 2, "at_most": 3}, "Rain falls.", "Rain falls on the roof."),
    ("rewardstream:one_sentence", {}, "Rain falls.", "Rain falls. Sun."),
    ("rewardstream:one_question", {}, "Does rain fall?", "Rain falls."),
    ("rewardstream:ends_with", {"text": "!"}, "Rain falls!", "!"),
    ("rewardstream:starts_with", {"text": "Rain"}, "Rain falls.", "Rainfall."),
    ("rewardstream:lowercase", {}, "rain falls.", "Rain falls."),
    ("rewardstream:uppercase", {}, "RAIN FALLS.", "Rain falls."),
]
