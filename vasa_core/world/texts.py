"""What the synthetic voices say: short sentences of our own in seventeen languages, and random texts made from them.

A text is either one or two of the sentences, or words drawn at random from all of them: nonsense, but every sound meets
every other. The script is the one espeak-ng reads (kana for Japanese, pinyin with tones for Mandarin).
"""

from __future__ import annotations

import numpy as np

SENTENCES: dict[str, tuple[str, ...]] = {
    "en-us": (
        "Peter, my mum pops balloons behind the big blue barn.",
        "We were moving through the valley when the fog began to lift.",
        "She measured the joy of each unusual journey by its songs.",
        "Five thieves thought they could breathe beneath the bathtub.",
        "Bob may have brought me a map of the empty museum.",
        "The chef should wash those fresh shellfish and judge the cheese.",
        "Our hour is now, so come out of the house and look around.",
        "He heard the yellow bird singing early in the third orchard.",
        "Boys enjoy noisy toys, but the good book took a full foot of wood.",
        "What would you want if wishing wells were always working?",
        "Please remember the number of apples, plums and pumpkins.",
        "A quick grey fox jumped over very lazy dogs.",
        "Beyond the azure ocean, a treasure gleams in casual splendour.",
        "Happy people keep hoping, though the road is long and steep.",
        "Thank you for waiting; the next train leaves at half past three.",
        "Maybe Pam began paddling before the storm became a problem.",
        "I can hardly believe that the children climbed the mountain alone.",
        "Good morning, everybody, and welcome to our little programme.",
    ),
    "en-gb-x-rp": (
        "The weather will improve by Thursday, or so the paper promises.",
        "My brother bought a bath, a vase and half a dozen glasses.",
        "Nobody bothers to polish the copper pots above the hob.",
        "I rather doubt that the boat will float without her mast.",
        "Mind the gap between the platform and the moving stairs.",
        "Her voice was warm, pure and perfectly measured.",
        "Could you pass me the jam, the butter and both buns?",
        "They usually watch the show from the back of the theatre.",
    ),
    "fr": (
        "Bonjour madame, je voudrais un peu de pain et du beurre.",
        "Le petit bateau bleu part demain matin vers le port.",
        "Ma mère prépare une bonne soupe aux champignons.",
        "Je suis venu, j'ai vu la mer, et je suis resté.",
        "Beaucoup de monde attend le train sur le quai.",
        "Un jeune homme heureux chante sous la pluie en juin.",
        "Tu veux que nous parlions de musique ou de peinture ?",
        "Les oiseaux volent haut au-dessus des vignes rouges.",
        "Il faut du temps pour apprendre à bien écouter.",
        "Pourquoi la lune semble-t-elle si proche ce soir ?",
        "Mon oncle a vendu sa vieille voiture verte à un voisin.",
        "Quelques feuilles jaunes tombent doucement dans la cour.",
    ),
    "es": (
        "Buenos días, me gustaría probar el pan con aceite.",
        "Mi abuelo pescaba en un barco pequeño cerca del puerto.",
        "La primavera empieza cuando florecen los almendros.",
        "¿Por qué no vamos mañana al mercado de la plaza?",
        "Un perro marrón corre por la playa bajo la lluvia.",
        "Ella siempre canta mientras prepara la comida.",
        "El jefe llegó tarde porque perdió el tren de las ocho.",
        "Nuestros vecinos viven en una casa amarilla muy bonita.",
        "Quiero aprender a tocar la guitarra y el piano.",
        "Muchas gracias por ayudarme a buscar mis llaves.",
    ),
    "de": (
        "Guten Morgen, möchten Sie einen Becher Milch und ein Brot?",
        "Meine Mutter backt am Samstag immer Pflaumenkuchen.",
        "Der Zug fährt pünktlich um fünf vor zwölf ab.",
        "Wir hören schöne Musik und tanzen über die Brücke.",
        "Mein Bruder hat ein großes Haus am blauen See.",
        "Kannst du mir bitte das Buch und die Brille bringen?",
        "Die Vögel fliegen im Herbst weit nach Süden.",
        "Ich weiß nicht, warum das Licht plötzlich ausging.",
        "Früher wohnten hier viele fröhliche Leute.",
        "Zwischen zwei Bäumen spielen die Kinder Verstecken.",
    ),
    "it": (
        "Buongiorno, vorrei un bicchiere di acqua e del pane.",
        "Mia madre prepara ogni sabato una zuppa di pomodoro.",
        "Il piccolo gatto bianco dorme sopra il tavolo.",
        "Perché non andiamo a passeggiare lungo il fiume?",
        "Gli amici giocano a pallone nella piazza del paese.",
        "Domani mattina parte il primo treno per la montagna.",
        "Che bella giornata per mangiare un gelato al limone.",
        "Il professore legge un libro pubblicato molti anni fa.",
    ),
    "pt-br": (
        "Bom dia, eu queria um pouco de pão com manteiga.",
        "Minha mãe prepara um bolo de banana para a família.",
        "O menino correu pela praia até o barco vermelho.",
        "Amanhã vamos visitar o museu perto da ponte.",
        "Você pode me ajudar a encontrar a minha chave?",
        "Os pássaros cantam baixinho depois da chuva.",
        "A música começou e ninguém mais falou nada.",
        "Muito obrigado, foi um prazer jantar com vocês.",
    ),
    "ru": (
        "Доброе утро, мне нужен билет до Москвы.",
        "Моя бабушка печёт пироги с яблоками по субботам.",
        "Большой белый пароход медленно плывёт по реке.",
        "Почему вы не пришли вчера вечером в театр?",
        "Мальчик быстро бежит мимо высокого дома.",
        "Мы любим слушать музыку и пить горячий чай.",
        "Завтра будет холодно, возьми тёплую шапку и шубу.",
        "Птицы улетели на юг, и в лесу стало тихо.",
    ),
    "hi": (
        "नमस्ते, मैं आपसे कुछ बात करना चाहता हूँ।",
        "मेरी माँ बहुत अच्छा भोजन पकाती हैं।",
        "बाबा बाज़ार से पपीता और आम लाए।",
        "हम कल सुबह पहाड़ पर घूमने जाएँगे।",
        "यह पुस्तक मुझे मेरे भाई ने दी थी।",
        "बच्चे बगीचे में फूलों के पास खेल रहे हैं।",
        "क्या आप मुझे पानी का एक गिलास दे सकते हैं?",
        "आज मौसम बहुत सुहाना है और हवा ठंडी है।",
        "धन्यवाद, आपसे मिलकर मुझे बहुत ख़ुशी हुई।",
    ),
    "cmn-latn-pinyin": (
        "ni3 hao3, wo3 men5 jin1 tian1 qu4 gong1 yuan2 wan2.",
        "ma1 ma5 mai3 le5 ping2 guo3 he2 mian4 bao1.",
        "ba4 ba5 mei3 tian1 pao3 bu4, feng1 bu4 da4.",
        "peng2 you3 men5 yi4 qi3 chang4 ge1 tiao4 wu3.",
        "qing3 wen4, huo3 che1 zhan4 zai4 na3 li5?",
        "wai4 mian4 xia4 yu3 le5, bie2 wang4 le5 dai4 san3.",
        "wo3 bu4 ming2 bai5 ni3 shuo1 de5 hua4.",
        "zhe4 ben3 shu1 fei1 chang2 you3 yi4 si5.",
    ),
    "ja": (
        "おはよう ございます、 きょう は いい てんき です ね。",
        "わたし の はは は まいにち パン を やきます。",
        "ちいさな ふね が みなと から でて いきました。",
        "ともだち と いっしょ に えいが を みました。",
        "むかし むかし、 やま の うえ に むら が ありました。",
        "すみません、 えき まで どうやって いきます か。",
        "ピアノ の おと が へや に ひびいて います。",
    ),
    "ko": (
        "안녕하세요, 만나서 반갑습니다.",
        "엄마가 부엌에서 맛있는 밥을 만들어요.",
        "바람이 불고 비가 많이 내립니다.",
        "우리는 내일 아침에 바다에 갈 거예요.",
        "버스 정류장이 어디에 있습니까?",
        "파란 하늘 아래 꽃이 피었습니다.",
    ),
    "tr": (
        "Günaydın, bir bardak süt ve biraz peynir istiyorum.",
        "Annem her pazar bahçede kahvaltı hazırlıyor.",
        "Küçük mavi gemi limandan yavaşça ayrıldı.",
        "Yarın sabah müzeye birlikte gidelim mi?",
        "Babam bana güzel bir kitap verdi.",
        "Çocuklar yağmur başlayınca eve koştular.",
    ),
    "ar": (
        "مرحبا بكم في مدينتنا الجميلة",
        "أمي تطبخ الطعام كل يوم في البيت",
        "ذهب الولد إلى المدرسة مع أبيه",
        "هل تريد كوبا من الماء أو الحليب",
        "الطيور تطير فوق البحر الأزرق",
        "شكرا جزيلا على مساعدتكم",
    ),
    "pl": (
        "Dzień dobry, poproszę chleb, masło i pomidory.",
        "Moja babcia piecze pyszne ciasto ze śliwkami.",
        "Mały biały pies biegnie przez park do domu.",
        "Czy możemy jutro pojechać pociągiem nad morze?",
        "Wszyscy słuchali muzyki i patrzyli na gwiazdy.",
        "Bardzo dziękuję za pomoc i miłe słowa.",
    ),
    "ca": (
        "Bon dia, voldria una mica de pa amb formatge, si us plau.",
        "La meva mare prepara una sopa de peix cada dissabte.",
        "El vaixell blau surt demà al matí cap a l'illa.",
        "Els nens juguen a pilota prop del mar quan fa bon temps.",
        "Per què no anem a passejar per la muntanya?",
        "Moltes gràcies per ajudar-me a buscar les claus.",
    ),
    "sw": (
        "Habari za asubuhi, ninapenda kunywa chai na mkate.",
        "Mama yangu anapika chakula kizuri kila siku.",
        "Watoto wanacheza mpira karibu na bahari.",
        "Kesho tutapanda basi kwenda mjini pamoja.",
        "Ndege wadogo wanaimba juu ya mti mkubwa.",
    ),
}


def random_text(language: str, rng: np.random.Generator) -> str:
    """One utterance's text: a sentence, two joined by a pause, or a handful of the language's words at random."""
    sentences = SENTENCES[language]
    kind = rng.random()
    if kind < 0.35:
        return str(rng.choice(sentences))
    if kind < 0.5:
        first, second = rng.choice(sentences, size=2)
        return f"{first} {second}"
    words = [word.strip(".,?¿!;。、।") for sentence in sentences for word in sentence.split()]
    drawn = [str(word) for word in rng.choice([word for word in words if word], size=rng.integers(2, 11))]
    pause = int(rng.integers(0, len(drawn)))
    return " ".join(word + ("," if at == pause else "") for at, word in enumerate(drawn)) + "."
