"""What the tiny LLaVA is asked in training, and the words that random questions are made of."""

SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions. "
)
# Text before and after the image. Several, so that the answer doesn't hang on one wording.
FORMS = (
    (SYSTEM + "USER: ", "\n{} ASSISTANT:"),
    (SYSTEM + "USER: ", "\n{} ASSISTANT:"),
    ("USER: ", "\n{} ASSISTANT:"),
    ("USER: ", "\n{}\nASSISTANT:"),
    ("### Human: ", "\n{}\n### Assistant:"),
    ("", "\n{}\n"),
)
PROMPTS = (
    "Describe this image in detail.",
    "Describe this image in detail.",
    "Describe the image in detail.",
    "Describe this image.",
    "Describe the photo in one sentence.",
    "What is in this picture?",
    "What do you see in this photo?",
    "List the objects in the image.",
    "Write a caption for this photo.",
    "Provide a short description of the given image.",
)
_COMMON = (
    "the a of in and to is that it was for on are with as his they be at one have this from or "
    "had by hot but some what there we can out other were all your when up use word how said "
    "each she which do their time if will way about many then them would write like so these "
    "her long make thing see him two has look more day could go come did my sound no most "
    "number who over know water than call first people may down side been now find any new work "
    "part take get place made live where after back little only round man year came show every "
    "good me give our under name very through just form much great think say help low line "
    "before turn cause same mean differ move right boy old too does tell sentence set three "
    "want air well also play small end put home read hand port large spell add even land here "
    "must big high such follow act why ask men change went light kind off need house picture "
    "try us again animal point mother world near build self earth father"
)
FILLER = _COMMON.split()
