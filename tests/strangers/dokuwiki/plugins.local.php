<?php
$plugins['testing'] = 0;
