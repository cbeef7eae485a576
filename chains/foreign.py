"""Questions on many subjects, for a collection that most of them have nothing to do with. Data only."""

_QUESTIONS = """
How long should rice rest after it has been cooked?
What temperature do you bake sourdough bread at?
How do you remove red wine stains from a carpet?
Which spices belong in a garam masala?
How many eggs go into a sponge cake for eight people?
What is the best way to sharpen a kitchen knife?
How often should a cactus be watered in winter?
When should roses be pruned?
Which vegetables can be sown in March?
How do I get rid of slugs in the garden?
How much does an adult Labrador weigh?
How long is a cat pregnant?
What do hedgehogs eat in autumn?
Why do whales sing?
How many legs does a centipede have?
How is the offside rule in football defined?
How many players are on a volleyball team?
What is the length of a marathon?
Who won the ice hockey gold medal at the last winter games?
How is a tie break in tennis counted?
How do I replace the chain of a bicycle?
Which tyre pressure does a camper van need?
How do I change the oil of a motorcycle?
What does the yellow engine light on the dashboard mean?
How do I bleed a radiator?
How thick must the insulation of a flat roof be?
Which drill bit is right for concrete?
How do I unblock a kitchen sink?
What is the notice period for a rented flat?
How is alimony calculated after a divorce?
When is a sales contract void?
How do I write a will by hand?
What documents are needed to register a birth?
How much duty is there on imported wine?
How do I apply for a parking permit?
What is the rate of the inheritance tax for siblings?
How does a put option work?
What is the difference between a share and a bond?
How high is the interest on an overdraft?
How many moons does Neptune have?
Why is the sky on Mars red?
How far away is the Andromeda galaxy?
What is the half-life of caesium?
How is aluminium made from bauxite?
Which acid is in a car battery?
How is the area of an ellipse calculated?
What is the derivative of the tangent?
How do you prove that the square root of two is irrational?
What are the side effects of ibuprofen?
How is a sprained ankle treated?
Which vaccinations are needed for a trip to Kenya?
How much vitamin D does a child need a day?
What helps against hay fever?
How do I put a baby to sleep?
Which chords are in a twelve-bar blues?
How is a violin tuned?
Who composed the opera about the barber of Seville?
Which paint is used for frescoes?
How do I develop black and white film at home?
What does a haiku consist of?
Who plays the lead in the film about the sinking of the Titanic?
How do I knit a heel for a sock?
Which stitch is used to hem trousers?
How do I get from the airport to the old town by bus?
Do I need a visa for a stopover in Singapore?
What is the best month to hike in Iceland?
How do I set up two-factor login for my mailbox?
Why does my printer print blank pages?
How can I recover deleted photos from a phone?
How do I join two tables in a spreadsheet?
Which cable connects a monitor to an old laptop?
What is the opening strategy of the Sicilian Defence?
How many cards does each player get in bridge?
How is the winner of a game of darts decided?
"""
FOREIGN = tuple(line for line in _QUESTIONS.splitlines() if line)
