"""The closed word classes that checking needs, in English, German, Spanish and French. Data only.

Words that carry meaning in one of the languages (`war`, `die`, `hat`, `son`) are left out of the stop words.
"""

_STOP_WORDS = """
a about according actually additionally after again all almost already also although always am an and another any are
around as at back be because been before being both but by called came can case certain come could did do does doing
done down during each either especially etc even every far few finally first following for from furthermore further gave
general generally get given gives go got had has have having he hence her here hers herself him himself his how however
i if in indeed information instead into is it its itself just keep kind know known last later least less let like likely
made mainly make makes many may maybe me mean means might more moreover most mostly much must my near nearly need needs
next of off often on once one ones only onto or other others our out over own part particular particularly passage
passages per perhaps please possible put quite rather really regarding same say says see seem seems several shall she
should shown since so some something sometimes somewhat soon specifically still such take taken than that the their them
themselves then there therefore these they thing things this those though through thus to together too toward towards
under until up upon us use used uses using usually various very via want was way we well were what when where whether
which while who whom whose why will with within would yes yet you your
aber als also am an auch auf aus bei bin bis da damit dann das dass dem den denn der des dich dir doch du durch ein eine
einem einen einer eines er es etwas euch für gegen gibt habe haben hatte hatten hier ich ihm ihn ihr ihre ihrem ihren
ihrer im in ins ist ja jede jeder jedes jetzt kann können man mehr mein mit muss nach noch nun nur ob oder sehr sein
seine seinem seinen seiner seit sich sie sind so sollte sondern sowie um und uns unter viel vom von vor wann waren warum
was weil welche welchem welchen welcher welches wenn wer werden wie wird wo wurde wurden zu zum zur zwischen über
al algo como con cual cuál cuando cuándo cuánto cuántos cuántas de del desde donde dónde el ella ellas ellos en entre era
eran es esa ese eso esta estaba este esto estos fue fueron ha hace hasta hay la las le les lo los más mi muy o para pero
por porque que qué quien quién se ser si sobre su sus también tiene un una unos y ya
au aux avec ce ceci cela ces cette comme dans des du elle elles est et eux il ils je la le les leur leurs lui mais même
nous on où ou par pour qu quand que quel quelle quels quelles qui sa se ses sont sur ta te tes toi tu un une vos votre vous
été être
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_NEGATORS = """
no not never none nobody nothing nowhere neither nor cannot without hardly barely unable lacks lack lacking fails
nicht kein keine keinem keinen keiner keines nie niemals niemand nichts weder ohne
nunca jamás nadie nada ninguno ninguna ningún tampoco sin
ne pas jamais aucun aucune rien ni sans
不 没 沒 無 无 非 未 ない
"""
NEGATORS = frozenset(_NEGATORS.split())


_SMALL_NUMBERS = """
0 zero cero zéro | 2 two zwei deux | 3 three drei tres trois | 4 four vier cuatro quatre | 5 five fünf cinco cinq |
6 six sechs seis |
7 seven sieben siete sept | 8 eight acht ocho huit | 9 nine neun nueve neuf | 10 ten zehn diez dix | 11 eleven onze |
12 twelve zwölf doce douze | 13 thirteen dreizehn trece treize | 14 fourteen vierzehn catorce quatorze |
15 fifteen fünfzehn quince quinze | 16 sixteen sechzehn | 17 seventeen siebzehn | 18 eighteen achtzehn |
19 nineteen neunzehn | 20 twenty zwanzig veinte vingt | 30 thirty dreißig treinta trente | 40 forty vierzig cuarenta |
50 fifty fünfzig cincuenta cinquante | 60 sixty sechzig sesenta soixante | 70 seventy siebzig setenta |
80 eighty achtzig ochenta | 90 ninety neunzig noventa | 100 hundred hundert cien ciento cent |
1000 thousand tausend mil mille | 1e6 million millions millionen millón millones | 1e9 billion billions milliarde milliarden |
1e12 trillion trillions billionen | 0.5 half halb hälfte mitad moitié | dozen dozens dutzend docena douzaine |
2x twice doubled double | 3x thrice tripled triple | hundreds hunderte cientos | thousands tausende miles
"""
NUMBER_WORDS = {
    word: entry.split()[0] for entry in _SMALL_NUMBERS.split("|") for word in entry.split() if not word[0].isdigit()
}

_OPPOSITES = """
increase decrease | increases decreases | increased decreased | increasing decreasing | more less | more fewer |
most least | higher lower | high low | highest lowest | greater smaller | larger smaller | largest smallest | above below |
before after | first last | earlier later | maximum minimum | upper lower | always never | all none | enable disable |
enables disables | enabled disabled | true false | rise fall | rose fell | gain lose | gained lost | won lost | win lose |
wins loses | allow forbid | allows forbids | allowed forbidden | required optional | synchronous asynchronous | sync async |
north south | east west | northern southern | eastern western | northwest southeast | northeast southwest | start end |
started ended | begins ends | positive negative | faster slower | fast slow | older newer | old new | accept reject |
accepts rejects | accepted rejected | import export | added removed | open closed | public private | inside outside |
cheap expensive | cheaper dearer | strong weak | stronger weaker | with without | can cannot | success failure |
succeeds fails | succeeded failed | buy sell | bought sold | left right | up down | male female | birth death | born died
"""
_PAIRS = [entry.split() for entry in _OPPOSITES.split("|")]
OPPOSITES = {
    word: frozenset(b if word == a else a for a, b in _PAIRS if word in (a, b)) for pair in _PAIRS for word in pair
}
