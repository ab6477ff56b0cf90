--- A goto to nowhere.
-- stage: load
-- says: undefined label 'nowhere'
goto nowhere -- HERE
